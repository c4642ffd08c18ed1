"""Where settings stand besides flags: in variables, in an .env file, in a TOML file; and who wins. Knows no setting.

pydantic-settings does this too, for a tenth of the time that a start has until the server answers (50 of 500 ms): it
brings readers of command lines, of YAML and of clouds' secrets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def in_variables(variables: Mapping[str, str | None], prefix: str) -> dict[str, str]:
    """The settings among variables whose names begin with the prefix, in whatever case; one without a value is none."""
    begin = prefix.lower()
    return {
        name.lower().removeprefix(begin): value
        for name, value in variables.items()
        if value is not None and name.lower().startswith(begin)
    }


def in_env_file(file: Path, prefix: str) -> dict[str, str]:
    """The settings of an .env file; none where there is no file. Errors: UnicodeDecodeError, OSError."""
    if not (file.is_file() or file.is_fifo()):  # what keeps secrets may hand them out through a pipe
        return {}
    from dotenv import dotenv_values  # here: most have no such file

    return in_variables(dotenv_values(file, encoding="utf-8"), prefix)


def in_toml(file: Path) -> dict[str, Any]:
    """The settings of a TOML file; none where there is none. Errors: TOMLDecodeError, UnicodeDecodeError, OSError."""
    if not file.is_file():
        return {}
    return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # the PowerShell of Windows begins UTF-8 with a mark


def layered(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """All that the sources say; of what several say, the first one's. Tables add up, key by key."""
    found: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if isinstance(value, Mapping) and isinstance(found.get(name), Mapping):
                found[name] = layered(found[name], value)
            else:
                found.setdefault(name, value)
    return found
