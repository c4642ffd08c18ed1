"""The folder of a fetched model: what it says of itself (.fluid.json), and how new files come into it."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fluid_server.catalog.gguf_names import SUFFIX, is_projector
from fluid_server.catalog.remote import RemoteFile
from fluid_server.errors import Conflict
from fluid_server.managers import disk
from fluid_server.types import ModelSpec

RECORD = ".fluid.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a folder is to hold: files of one commit, each with its place in the folder (with /)."""

    repo: str
    revision: str
    files: tuple[tuple[RemoteFile, str], ...]

    @property
    def places(self) -> frozenset[str]:
        """Where the files go."""
        return frozenset(place for _, place in self.files)

    @property
    def weights(self) -> frozenset[str]:
        """Those that tell one model of a folder from another; none where a folder is one model."""
        files = {place for place in self.places if place.lower().endswith(SUFFIX)}
        return frozenset(place for place in files if not is_projector(PurePosixPath(place).stem)) or frozenset(files)


def check_place(models: Path, folder: str, content: Content) -> None:
    """Whether the files can be put where they are to go. Errors: Conflict, naming what is in the way."""
    if models.exists() and not models.is_dir():
        raise Conflict(f"The models folder '{models.name}' is a file. Choose a folder with --model-path.")
    target = PurePosixPath(folder)
    places = [target / place for place in content.places]
    folders = {parent for place in places for parent in place.parents if parent.name}
    for path in sorted(folders):
        there = models / path
        if there.is_symlink() and not there.exists():
            raise Conflict(f"'{path}' in the models folder is a link to nothing. Remove it, then pull again.")
        if there.exists() and not there.is_dir():
            raise Conflict(f"'{path}' in the models folder is a file, not a folder. Move it away, then pull again.")
    for path in sorted(places):
        if (models / path).is_dir():
            raise Conflict(f"'{path}' in the models folder is a folder, not a file. Move it away, then pull again.")


def digest(file: RemoteFile) -> str | None:
    """What tells a file's content; None where the Hub does not say."""
    return file.sha256 or file.git_sha1


def same(one: RemoteFile, other: RemoteFile) -> bool:
    """Whether two commits have the same content in this file, as far as the Hub tells."""
    return one.size == other.size and digest(one) == digest(other)


def is_here(folder: Path, place: str, file: RemoteFile, recorded: Mapping[str, Any]) -> bool | None:
    """Whether the file lies in its place already. None: there is one, and only its hash can tell."""
    there = folder / place
    if not there.is_file() or there.stat().st_size != file.size:
        return False
    known = recorded.get(place)
    if isinstance(known, dict) and digest(file) in (known.get("sha256"), known.get("git_sha1")):
        return True
    return None


def is_complete(folder: Path, content: Content) -> bool:
    """Whether all of it is here for sure."""
    recorded = read_record(folder)
    return all(is_here(folder, place, file, recorded) is True for file, place in content.files)


def read_record(folder: Path) -> Mapping[str, Any]:
    """What was fetched into the folder, by place; nothing where no record can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    files = record.get("files") if isinstance(record, dict) else None
    return files if isinstance(files, dict) else {}


def _record(content: Content, before: Mapping[str, Any]) -> str:
    """The text of a record: files that were fetched earlier stay in it."""
    files = {place: _entry(file) for file, place in content.files}
    told = {"repo": content.repo, "revision": content.revision, "files": {**before, **files}, "pulled": time.time()}
    return json.dumps(told, indent=1, ensure_ascii=False)


def _entry(file: RemoteFile) -> dict[str, Any]:
    hashes = {"sha256": file.sha256, "git_sha1": file.git_sha1}
    known = {name: value for name, value in hashes.items() if value is not None}
    return {"path": file.path, "size": file.size, **known}


def install(fetched: Path, folder: Path, aside: Path, content: Content) -> None:
    """Put verified files where the catalog finds them; what they replace goes ``aside``. Can be done again after a
    crash in the middle. A new folder appears with one rename, so that nobody ever sees half of it."""
    if not folder.exists() and _files_in(fetched) - {RECORD} == content.places:
        disk.write_text(fetched / RECORD, _record(content, {}))
        try:
            disk.move(fetched, folder)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    _install_files(fetched, folder, aside, content)


def _files_in(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def _install_files(fetched: Path, folder: Path, aside: Path, content: Content) -> None:
    new = sorted(place for place in content.places if (fetched / place).is_file())
    _step_aside(new, folder, aside)
    for place in new:
        disk.move(fetched / place, folder / place)
    folder.mkdir(parents=True, exist_ok=True)
    disk.write_text(folder / RECORD, _record(content, read_record(folder)))


def _step_aside(places: Iterable[str], folder: Path, aside: Path) -> None:
    """All or none: a file in use cannot be moved on Windows, and half a change would leave a broken model."""
    moved: list[str] = []
    try:
        for place in places:
            if (folder / place).exists():
                disk.move(folder / place, aside / place)
                moved.append(place)
    except OSError:
        for place in moved:
            disk.move(aside / place, folder / place)
        raise


def is_broken(specs: Sequence[ModelSpec], folder: Path, content: Content) -> bool:
    """Whether the catalog finds fault with what these files have made."""
    weights = {folder / place for place in content.places}
    return any(spec.problem for spec in specs if spec.path == folder or spec.path in weights)


def model_in(specs: Sequence[ModelSpec], folder: Path, content: Content) -> ModelSpec | None:
    """The catalog's model that these files make."""
    weights = {folder / place for place in content.places}
    return next((spec for spec in specs if spec.path == folder or spec.path in weights), None)
