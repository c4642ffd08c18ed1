"""What lies in a program that was built: its files and its Python modules, whether it is a folder or a single file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name
from PyInstaller.archive.readers import CArchiveReader

from scripts.bundle.contents import OF_THE_INSTALLER
from scripts.bundle.room import INNER

NEVER = frozenset(
    {
        "pytest", "_pytest", "mypy", "ty", "ruff", "hypothesis", "schemathesis", "openai", "agents", "jsonschema",
        "PyInstaller", "setuptools", "pip", "openvino_telemetry", "hf_xet", "readline", "tkinter",
    }
)  # fmt: skip
"""Tools for building and testing; what calls home; and GNU readline, which is under the GPL."""

ARCHIVE = "PYZ.pyz"
METADATA = re.compile(r"(?:^|/)([^/]+)-[^-/]+\.dist-info/")


def files_in(program: Path) -> Mapping[str, int]:
    """Paths in the program, with slashes, and the bytes that each takes."""
    inner = program.parent / INNER
    if inner.is_dir():
        found = (file for file in program.parent.rglob("*") if file.is_file() and not file.is_symlink())
        return {file.relative_to(program.parent).as_posix(): file.stat().st_size for file in found}
    held = CArchiveReader(str(program)).toc
    return {f"{INNER}/{name}".replace("\\", "/"): entry[1] for name, entry in held.items()}


def modules_in(program: Path) -> frozenset[str]:
    """The names of the Python modules in it."""
    return frozenset(CArchiveReader(str(program)).open_embedded_archive(ARCHIVE).toc)


def packages_in(files: Iterable[str]) -> frozenset[str]:
    """The packages whose metadata is in it."""
    return frozenset(canonicalize_name(found[1]) for file in files if (found := METADATA.search(file)))


def unwanted(files: Iterable[str], modules: Iterable[str]) -> list[str]:
    """What of NEVER is in it all the same: as a module, a library or a package's metadata; and the installer's."""
    inner = {file.removeprefix(f"{INNER}/") for file in files if file.startswith(f"{INNER}/")}
    top = {name.split("/")[0].split(".")[0] for name in inner} | {name.split(".")[0] for name in modules}
    names = top | {name.replace("-", "_") for name in packages_in(inner)}
    names |= {name.rpartition("/")[2].split(".")[0] for name in inner if "lib-dynload/" in name}
    names_of_files = {name.rpartition("/")[2] for name in inner if METADATA.search(name)}
    return sorted((names & NEVER) | (names_of_files & set(OF_THE_INSTALLER)))
