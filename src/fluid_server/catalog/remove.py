"""Takes a model off the disk: what belongs to it and to nobody else, and only below the models folder."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluid_server.catalog.scan import CATEGORIES
from fluid_server.errors import Conflict, InvalidRequest
from fluid_server.types import Format, ModelSpec

RECORD = ".fluid.json"  # what was fetched from where, beside the files
TRASH = Path(".downloads")  # a hidden folder on the same disk
WEIGHTS = {".gguf", ".xml", ".onnx", ".safetensors"}
SPLIT = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes when ``model`` goes: whole folders, files and links, ``bytes`` on the disk in all."""

    model: str
    folder: Path
    paths: tuple[Path, ...]
    bytes: int


def plan(spec: ModelSpec, specs: Sequence[ModelSpec], folder: Path) -> Removal:
    """What belongs to the model alone. ``specs`` are all models, ``folder`` is the models folder; nothing is changed.

    Errors: InvalidRequest for the built-in model, and for files that lie outside the models folder; Conflict for what
    cannot be looked at.
    """
    if spec.format is Format.BUILTIN:
        raise InvalidRequest(f"'{spec.id}' is built in: it has no files that could be removed.", param="model")
    try:
        paths = tuple(_belongings(spec, specs, folder))
        removal = Removal(spec.id, folder, paths, sum(_bytes(path) for path in paths))
    except OSError as error:
        raise _in_the_way(spec.id, error) from error
    root = folder.resolve()
    if not all(path.parent.resolve().is_relative_to(root) for path in paths):
        raise InvalidRequest(
            f"The files of '{spec.id}' lie outside the models folder, behind a link: remove them there.", param="model"
        )
    return removal


def remove(removal: Removal) -> None:
    """Do it: the model vanishes at once, then its bytes go. Errors: Conflict where a file is held or protected."""
    trash = removal.folder / TRASH / f"trash-{secrets.token_hex(4)}"
    try:
        trash.mkdir(parents=True)
        _all_or_nothing(removal.paths, trash)
    except OSError as error:
        raise _in_the_way(removal.model, error) from error
    finally:
        for left in (removal.folder / TRASH).glob("trash-*"):  # what could not be deleted another time, too
            shutil.rmtree(left, ignore_errors=True)
    for parent in {path.parent for path in removal.paths}:
        _forget(parent, {path.name for path in removal.paths if path.parent == parent})
        _tidy(parent, removal.folder)


def _in_the_way(model: str, error: OSError) -> Conflict:
    return Conflict(
        f"'{model}' cannot be removed: {(error.strerror or 'input/output error').lower()}. Close the programs that use "
        "its files, or change who may write to them.",
        param="model",
    )


def _belongings(spec: ModelSpec, specs: Iterable[ModelSpec], folder: Path) -> Iterator[Path]:
    if spec.format is not Format.GGUF:
        yield spec.path
        return
    home = spec.path.parent
    others = [other for other in specs if other.format is Format.GGUF and other.id != spec.id]
    beside = [other for other in others if other.path.parent == home]
    if not beside and not _is_for_many(home, folder):
        yield from _whole(home)
        return
    needed = {file for other in others for file in (other.path, *other.files)}
    for file in dict.fromkeys((*spec.files, *_parts(spec.path))):
        if file not in needed:
            yield file


def _is_for_many(home: Path, folder: Path) -> bool:
    """Whether a folder is for many models, each a file: the models folder, and those that sort by kind."""
    return home == folder or (home.parent == folder and home.name in CATEGORIES)


def _whole(home: Path) -> Iterator[Path]:
    """A folder without any further model. Weights in folders below it were never looked at: they stay."""
    if _is_link(home) or not any(file.suffix.lower() in WEIGHTS for file in home.glob("[!.]*/**/*")):
        yield home
    else:
        yield from sorted(file for file in home.iterdir() if not file.is_dir())


def _parts(first: Path) -> Iterator[Path]:
    """A model's file, or all parts of a split one, links that lead nowhere included."""
    split = SPLIT.match(first.name)
    for file in first.parent.iterdir():
        other = SPLIT.match(file.name)
        if file == first or (split and other and split.groups() == other.groups()):
            yield file


def _is_link(path: Path) -> bool:
    """A symbolic link, or what Windows has instead: a junction."""
    if path.is_symlink():
        return True
    if sys.platform == "win32":
        return os.lstat(path).st_reparse_tag == stat.IO_REPARSE_TAG_MOUNT_POINT
    return False


def _bytes(path: Path) -> int:
    """What goes with it; a link has no bytes of its own."""
    if _is_link(path):
        return 0
    if not path.is_dir():
        return path.stat().st_size
    files = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sum(file.stat().st_size for file in files if not file.is_symlink())


def _all_or_nothing(paths: Iterable[Path], trash: Path) -> None:
    """Move everything away, or put back what was moved. Errors: OSError."""
    moved: list[tuple[Path, Path]] = []
    try:
        for number, path in enumerate(paths):
            away = trash / f"{number}"
            _move(path, away)
            moved.append((path, away))
    except OSError:
        for path, away in moved:
            with suppress(OSError):
                away.rename(path)
        raise


def _move(path: Path, away: Path) -> None:
    try:
        path.rename(away)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another disk is mounted inside the models folder: this takes as long as deleting takes.
        if path.is_dir() and not _is_link(path):
            shutil.rmtree(path)
        else:
            path.unlink()


def _forget(home: Path, gone: set[str]) -> None:
    """Take the files that are gone out of the record of what was fetched."""
    record = home / RECORD
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        told["files"] = {place: known for place, known in told["files"].items() if place not in gone}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # there is none, or none that anybody could read
    draft = record.with_name(f"{RECORD}.new")
    with suppress(OSError):
        draft.write_text(json.dumps(told, indent=2), encoding="utf-8")
        draft.replace(record)


def _tidy(home: Path, folder: Path) -> None:
    """Remove folders that are empty now, up to the models folder; those that sort by kind stay."""
    while home != folder and not _is_for_many(home, folder) and home.is_relative_to(folder):
        try:
            home.rmdir()
        except OSError:
            return  # not empty
        home = home.parent
