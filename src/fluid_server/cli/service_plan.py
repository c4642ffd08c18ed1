"""What a service is made of, on every system: what runs, with which settings, where, and for whom."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from fluid_server.cli.announcement import address_of
from fluid_server.config import ENV_PREFIX, SECRETS, ServerConfig
from fluid_server.errors import ConfigError
from fluid_server.places import user_model_path
from fluid_server.workers.process import worker_command

NAME = "fluid-server"
NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # what systemd, launchd and Task Scheduler take unquoted
CACHES = {"archive-v0", "builds-v0", "environments-v2"}  # folders of uv's cache
UNSUITABLE = {
    "--reload": "it is for development",
    "--parent-pid": "a service has no parent to end with",
    "--exit-with-stdin": "a service has no standard input",
    "--ready-json": "nobody reads a service's standard output",
}


class Scope(StrEnum):
    """For whom a service runs."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A service as it is to be. ``folder`` is where it runs; ``data`` where it writes (None: where its settings say).

    ``flags`` are the server's, whole words without secrets. ``secrets`` are kept in ``environment``, a file. ``user``
    is a system service's on Linux, None for one of its own. ``grace`` is the time in seconds that ending may take.
    """

    name: str
    scope: Scope
    user: str | None
    flags: tuple[str, ...]
    secrets: Mapping[str, str]
    folder: Path
    environment: Path
    data: Path | None
    log_file: Path | None
    grace: float
    writable: tuple[Path, ...] = ()

    @property
    def command(self) -> list[str]:
        """The program and its flags."""
        return [*worker_command("serve"), *self.flags]

    @property
    def description(self) -> str:
        """One line for lists of services."""
        return "Fluid Server, a local AI server that speaks OpenAI's API"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the system says of a service. ``detail`` is in its own words."""

    installed: bool
    running: bool = False
    enabled: bool = False
    pid: int | None = None
    restarts: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a service's own files lie: ``definition`` is what the system reads, or its name there."""

    definition: str
    settings: Path
    data: Path | None = None
    log_file: Path | None = None


class Manager(Protocol):
    """What keeps a service running: systemd, Task Scheduler or launchd."""

    @property
    def places(self) -> Places:
        """Where its files lie."""
        ...

    def check(self, plan: Plan) -> None:
        """Errors: FluidError where the plan cannot work here. Nothing has been touched then."""
        ...

    def definition(self, plan: Plan) -> str:
        """What the system is told, as text."""
        ...

    def install(self, plan: Plan) -> None:
        """Tell the system, in place of what it was told before; nothing is started or ended by it."""
        ...

    def remove(self) -> None:
        """End it, and have the system forget it."""
        ...

    def start(self) -> None:
        """Run it now, and whenever the system or the user's session starts; anew, if it runs."""
        ...

    def stop(self) -> None:
        """End it; it stays off until it is started."""
        ...

    def state(self) -> State:
        """What the system says of it."""
        ...

    def log(self, lines: int) -> str:
        """Its last lines."""
        ...


def plan_of(config: ServerConfig, name: str, scope: Scope, user: str | None, places: Places) -> Plan:
    """The service that serves with the settings that were found here. Errors: ConfigError for what no service can do.

    A service runs in another folder and has another environment, so that whatever was set by flag, environment or file
    becomes a flag of it, with whole paths; secrets alone go to a file.
    """
    if config.reload:
        refuse(["--reload"])
    if lies_in_a_cache(Path(sys.prefix)):
        raise ConfigError(
            f"This program lies in a cache that may be emptied ({sys.prefix}). Install it first, such as by "
            "'uv tool install', then its service."
        )
    own = _own_places(config, places)
    chosen = config.model_copy(update=own)
    given = config.model_fields_set | own.keys()
    folder = places.data or places.settings
    return Plan(
        name=name,
        scope=scope,
        user=user,
        flags=tuple(flags_of(chosen, given)),
        secrets=secrets_of(config),
        folder=folder,
        environment=places.settings / ".env",
        data=places.data,
        log_file=chosen.log_file.absolute() if chosen.log_file else None,
        grace=config.shutdown_grace,
        writable=tuple(path.absolute() for path in _written(chosen, given)),
    )


def lies_in_a_cache(prefix: Path) -> bool:
    """Whether uv has made this environment for one run alone (uvx, uv run --with)."""
    return bool(CACHES & set(prefix.parts))


def refuse(flags: Sequence[str]) -> None:
    """Errors: ConfigError for a flag of serve that no service can have."""
    for flag in flags:
        if reason := UNSUITABLE.get(flag.partition("=")[0]):
            raise ConfigError(f"{flag} is nothing for a service: {reason}. Leave it out.")


def _own_places(config: ServerConfig, places: Places) -> dict[str, Path]:
    """The folders that a service gets where nobody chose others."""
    own: dict[str, Path] = {}
    if not config.model_fields_set & {"model_path", "data_dir"}:
        if places.data:
            own["data_dir"] = places.data
        # The packaged program offers its own models too, but not to who names a folder: the user's is found without.
        elif config.shipped_models is None or config.model_path != user_model_path():
            own["model_path"] = config.model_path
    if places.log_file and config.log_file is None:
        own["log_file"] = places.log_file
    return own


def _written(config: ServerConfig, given: set[str]) -> list[Path]:
    """What the settings say is written, outside of a service's own folder."""
    folders = [config.data_dir, config.model_path if "model_path" in given else None]
    folders.append(config.log_file.parent if config.log_file else None)
    return [folder for folder in folders if folder is not None]


def flags_of(config: ServerConfig, given: set[str]) -> list[str]:
    """Settings as the flags that give them again, one word each; secrets are left out."""
    flags: list[str] = []
    for name in type(config).model_fields:
        if name in given - SECRETS and (value := getattr(config, name)) is not None:
            flags += _flag("--" + name.replace("_", "-"), value)
    return flags


def _flag(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list):
        return [f"{flag}={one}" for one in value]
    if isinstance(value, dict):
        return [f"{flag}={key}={one}" for key, one in value.items()]
    if isinstance(value, Path):
        return [f"{flag}={value.absolute()}"]
    if isinstance(value, int):  # a size says itself in words otherwise
        return [f"{flag}={int(value)}"]
    return [f"{flag}={value}"]


def secrets_of(config: ServerConfig) -> dict[str, str]:
    """The secrets among the settings, by their variables. Errors: ConfigError for one that no file can hold."""
    found = {name: getattr(config, name) for name in sorted(SECRETS & config.model_fields_set)}
    secrets = {ENV_PREFIX + name.upper(): value.get_secret_value() for name, value in found.items() if value}
    for variable, value in secrets.items():
        if "${" in value or not value.isprintable():
            raise ConfigError(
                f"{variable} cannot be kept in the service's file, since it holds '${{' or a control character. "
                "Choose another value.",
                param=variable.removeprefix(ENV_PREFIX).lower(),
            )
    return secrets


def name_of_service(text: str) -> str:
    """A name that every system takes. Errors: ConfigError."""
    if not NAMES.fullmatch(text):
        raise ConfigError(
            f"'{text}' is no name for a service: write letters, digits, '-', '_' and '.', 64 at most.", param="name"
        )
    return text


def address_in(config: ServerConfig) -> str | None:
    """Where a server with these settings will be asked; None where it takes any free port."""
    return address_of(config.host, config.port) if config.port else None
