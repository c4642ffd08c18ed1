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
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluid_server.catalog.folder import UNFINISHED
from fluid_server.catalog.openvino import MODEL_INDEX
from fluid_server.catalog.qnn import HALVES, METADATA
from fluid_server.catalog.scan import CATEGORIES
from fluid_server.errors import Conflict, InvalidRequest
from fluid_server.types import Format, ModelSpec

RECORD = ".fluid.json"  # what was fetched from where, beside the files
TRASH = Path(".downloads")  # a hidden folder on the same disk
WEIGHTS = {".gguf", ".xml", ".bin", ".onnx", ".safetensors", ".pt", ".pth", ".ckpt", *UNFINISHED}
TELLING = {RECORD, MODEL_INDEX, "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
VOICES = "voices"
SPLIT = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes when ``model`` goes: whole folders, files and links; ``files`` and ``bytes`` in all."""

    model: str
    folder: Path
    paths: tuple[Path, ...]
    files: int
    bytes: int


def plan(spec: ModelSpec, specs: Sequence[ModelSpec], folder: Path) -> Removal:
    """What belongs to the model alone. ``specs`` are all models, ``folder`` is the models folder; nothing is changed.

    Errors: InvalidRequest for the built-in model, for files that lie outside the models folder, and for a folder that
    may be no model at all; Conflict for what cannot be looked at.
    """
    if spec.format is Format.BUILTIN:
        raise InvalidRequest(f"'{spec.id}' is built in: it has no files that could be removed.", param="model")
    try:
        paths = tuple(_belongings(spec, specs, folder))
        sizes = [size for path in paths for size in _sizes(path)]
        removal = Removal(spec.id, folder, paths, len(sizes), sum(sizes))
    except OSError as error:
        raise _in_the_way(spec.id, error) from error
    root = folder.resolve()
    if not all(path.parent.resolve().is_relative_to(root) for path in paths):
        raise InvalidRequest(
            f"The files of '{spec.id}' lie outside the models folder, behind a link or in the program's own folder: "
            "remove them there.",
            param="model",
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
    if spec.format is Format.UNKNOWN:
        yield _unknown(spec)
    elif spec.format is Format.GGUF:
        yield from _of_gguf(spec, specs, folder)
    else:
        yield from _of_folder(spec)


def _unknown(spec: ModelSpec) -> Path:
    """A folder that no layout owns: all of it, if it is the remains of a model. Errors: InvalidRequest."""
    home = spec.path
    if _is_link(home) or not home.is_dir():
        return home
    entries = list(home.iterdir())
    if any(entry.is_dir() and not entry.name.startswith(".") for entry in entries):
        why = "it has folders that nobody here looked into"
    elif entries and not any(_is_telling(entry.name) for entry in entries):
        why = "nothing in it looks like a model"
    else:
        return home
    raise InvalidRequest(
        f"'{spec.id}' is no model that this server knows, and {why}: look at it and remove it by hand.", param="model"
    )


def _is_telling(name: str) -> bool:
    """Whether a file of that name is part of some model."""
    return name.lower() in TELLING or name.startswith("openvino_") or Path(name).suffix.lower() in WEIGHTS


def _of_gguf(spec: ModelSpec, specs: Iterable[ModelSpec], folder: Path) -> Iterator[Path]:
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


def _of_folder(spec: ModelSpec) -> Iterator[Path]:
    """A folder that is the model. Where it holds weights of something else, only what its layout owns."""
    home = spec.path
    if _is_link(home):
        yield home
        return
    folders = {home, *_parts_of_layout(spec)}
    foreign = {file for file in _weights_below(home) if not _is_of_layout(file, spec, folders)}
    if not foreign:
        yield home
        return
    for place in sorted(folders):
        yield from sorted(file for file in place.iterdir() if not file.is_dir() and file not in foreign)


def _parts_of_layout(spec: ModelSpec) -> Iterator[Path]:
    """The folders below a model's own that its layout has files in. Names that lead elsewhere are not followed."""
    real = spec.path.resolve()
    for name in _names_of_parts(spec):
        part = spec.path / name
        if part.is_dir() and part.resolve() == real / name:
            yield part


def _names_of_parts(spec: ModelSpec) -> Iterator[str]:
    if spec.format is Format.QNN:
        for half in spec.path.glob("*/*"):
            if half.name in HALVES:
                yield from (half.parent.name, f"{half.parent.name}/{half.name}")
        return
    yield VOICES
    with suppress(OSError, ValueError, AttributeError):
        for name in json.loads((spec.path / MODEL_INDEX).read_text(encoding="utf-8")).keys() | {"vae_encoder"}:
            yield "vae_decoder" if name == "vae" else name


def _is_of_layout(file: Path, spec: ModelSpec, folders: Collection[Path]) -> bool:
    """Whether a weight file is one of the model's own."""
    if file.parent not in folders:
        return False
    if spec.format is Format.QNN:
        return file.parent.name in HALVES or file.name == METADATA
    name = Path(file.stem if file.suffix in UNFINISHED else file.name)
    if name.suffix not in {".xml", ".bin"}:
        return name.suffix.lower() not in WEIGHTS
    return name.name.startswith("openvino_") or file.parent == spec.path / VOICES


def _weights_below(home: Path) -> Iterator[Path]:
    """What may be weights in a folder and in those below it, hidden ones left out."""
    for pattern in ("*", "[!.]*/**/*"):
        yield from (file for file in home.glob(pattern) if file.suffix.lower() in WEIGHTS and not file.is_dir())


def _is_for_many(home: Path, folder: Path) -> bool:
    """Whether a folder is for many models, each a file: the models folder, and those that sort by kind."""
    return home == folder or (home.parent == folder and home.name in CATEGORIES)


def _whole(home: Path) -> Iterator[Path]:
    """A folder without any further model. Weights in folders below it were never looked at: they stay."""
    if _is_link(home) or all(file.parent == home for file in _weights_below(home)):
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


def _sizes(path: Path) -> Iterator[int]:
    """The bytes of each file that goes; a link has none of its own."""
    if _is_link(path):
        yield 0
    elif not path.is_dir():
        yield path.stat().st_size
    else:
        files = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
        yield from (0 if file.is_symlink() else file.stat().st_size for file in files)


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
