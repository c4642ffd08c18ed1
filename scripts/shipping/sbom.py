"""What is inside a built program, as a CycloneDX document (JSON).

cyclonedx-py, in an environment of its own, describes all packages of the environment that the program was built in;
kept is what the program holds, by the metadata of packages that lies in it.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from fluid_server import __version__
from scripts.interrupted import alone

ROOT = Path(__file__).resolve().parents[2]
TOOL = "cyclonedx-bom==7.5.0"
OURS = "fluid-server"
BUILDER = "pyinstaller"  # its loader starts the program
ROOT_COMPONENT = "root-component"


def environment_sbom() -> dict[str, Any]:
    """All packages that are installed beside this Python. Errors: CalledProcessError; OSError without uv."""
    command = ["uv", "tool", "run", "--from", TOOL, "cyclonedx-py", "environment", "--output-reproducible"]
    options = ["--spec-version", "1.6", "--mc-type", "application", "--pyproject", str(ROOT / "pyproject.toml")]
    done = alone([*command, *options, sys.executable], ROOT, stdout=subprocess.PIPE)
    done.check_returncode()
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def packages_in(folder: Path) -> dict[str, str]:
    """The packages of a built program, and their versions. Errors: ValueError where there is no metadata of any."""
    places = sorted({str(found.parent) for found in folder.rglob("*.dist-info")})
    found = {plain(one.metadata["Name"]): one.version for one in distributions(path=places)}
    if not found:
        raise ValueError(f"{folder} holds no metadata of packages: is it a program that scripts/build.py has built?")
    return found


def sbom_of(environment: Mapping[str, Any], packages: Mapping[str, str]) -> dict[str, Any]:
    """The environment's document, cut down to what is in the program, with Python and our version added.

    Errors: ValueError for a package of the program that the environment has not, or has in another version: then it was
    built elsewhere.
    """
    inside = {*packages, BUILDER}
    kept = [one for one in environment["components"] if plain(one["name"]) in inside]
    known = {plain(one["name"]): one["version"] for one in kept}
    if strange := sorted(f"{name} {packages[name]}" for name in packages if not _is_known(name, packages, known)):
        raise ValueError(f"not in this environment, so the program was built in another: {', '.join(strange)}")
    root = {**environment["metadata"]["component"], "version": __version__}
    python = _python()
    references = {one["bom-ref"] for one in (root, python, *kept)}
    return {
        **environment,
        "metadata": {**environment["metadata"], "component": root},
        "components": [python, *kept],
        "dependencies": [*_graph(environment["dependencies"], references, python["bom-ref"])],
    }


def _is_known(name: str, packages: Mapping[str, str], known: Mapping[str, str]) -> bool:
    return name == OURS or known.get(name) == packages[name]


def _graph(dependencies: list[dict[str, Any]], references: set[str], python: str) -> Iterator[dict[str, Any]]:
    """Who needs whom among what is kept."""
    for one in dependencies:
        if one["ref"] in references:
            needed = [other for other in one.get("dependsOn", ()) if other in references]
            if one["ref"] == ROOT_COMPONENT:
                needed.append(python)
            yield {"ref": one["ref"], **({"dependsOn": needed} if needed else {})}
    yield {"ref": python}


def _python() -> dict[str, Any]:
    version = platform.python_version()
    return {
        "bom-ref": f"cpython=={version}",
        "type": "platform",
        "name": "CPython",
        "version": version,
        "purl": f"pkg:generic/python@{version}",
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }


def plain(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
