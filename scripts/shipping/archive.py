"""A folder as one file, the same bytes for the same contents, and the checksums of files."""

from __future__ import annotations

import gzip
import hashlib
import stat
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fluid_server.machine import process_architecture

SYSTEMS = {"win32": "windows", "darwin": "macos", "linux": "linux"}
SUMS = "SHA256SUMS"
LEVEL = 6  # 9 takes three times as long and saves less than one in a hundred
EXECUTABLE, PLAIN = 0o755, 0o644
PIECE = 1024 * 1024


def platform_name(system: str = sys.platform, architecture: str | None = None) -> str:
    """Such as windows-arm64: what the archives are called by."""
    return f"{SYSTEMS.get(system, system)}-{architecture or process_architecture()}"


def archive(folder: Path, out: Path, name: str, *, as_zip: bool, moment: int) -> Path:
    """Write ``name``.zip or .tar.gz into ``out``; inside, everything lies in one folder of that name.

    Every file gets the time ``moment`` (seconds since 1970; zip knows none before 1980) and no owner, so that the same
    contents give the same bytes. Errors: ValueError for a folder that is empty, or for a link in a zip, which Windows'
    own unpacking makes a text file of.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if not files:
        raise ValueError(f"there is nothing in {folder}: build the program first")
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}{'.zip' if as_zip else '.tar.gz'}"
    write = _zip if as_zip else _tar
    write(target, ((path, f"{name}/{path.relative_to(folder).as_posix()}") for path in files), moment)
    return target


def _zip(target: Path, files: Iterable[tuple[Path, str]], moment: int) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as made:
        for path, name in files:
            if path.is_symlink():
                raise ValueError(f"{name} is a link, and a zip for Windows cannot hold one")
            entry = zipfile.ZipInfo(name, _time_of_zip(moment))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | _mode(path)) << 16
            entry.file_size = path.stat().st_size  # else it does not know that more than 2 GiB come
            with path.open("rb") as source, made.open(entry, "w") as goal:
                while piece := source.read(PIECE):
                    goal.write(piece)


def _time_of_zip(moment: int) -> tuple[int, int, int, int, int, int]:
    year, month, day, hour, minute, second, *_ = time.gmtime(moment)
    return max(year, 1980), month, day, hour, minute, second


def _tar(target: Path, files: Iterable[tuple[Path, str]], moment: int) -> None:
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        for path, name in files:
            entry = tarfile.TarInfo(name)
            entry.mtime = moment
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, path.readlink().as_posix()
                made.addfile(entry)
                continue
            entry.mode, entry.size = _mode(path), path.stat().st_size
            with path.open("rb") as source:
                made.addfile(entry, source)


def _mode(path: Path) -> int:
    return EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else PLAIN


def sha256(file: Path) -> str:
    """The checksum in hexadecimal."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_sums(folder: Path) -> Path:
    """Write SHA256SUMS over all files of a folder, as ``sha256sum --check`` reads it. Errors: ValueError for none."""
    lines = list(_sums(folder))
    if not lines:
        raise ValueError(f"there is nothing in {folder} to sum up")
    target = folder / SUMS
    target.write_text("".join(lines), encoding="utf-8", newline="\n")
    return target


def _sums(folder: Path) -> Iterator[str]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name != SUMS:
            yield f"{sha256(file)}  {file.name}\n"
