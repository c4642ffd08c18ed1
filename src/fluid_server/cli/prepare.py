"""What is written while the server runs: its folders are made and tried before anything is started."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fluid_server import log
from fluid_server.cli.own_folder import own_folder
from fluid_server.config import ServerConfig, keep_temporary_files_in
from fluid_server.errors import CannotStart, DiskFull, FluidError, FolderUnusable
from fluid_server.log_file import opened

NEEDED = 1024**2  # bytes that are written at once, to see whether there is room: the database and a log need less
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def logged(config: ServerConfig) -> Generator[None, None, None]:
    """Log to stderr and to the file; the file also says why the server did not start, and what defect ended it.

    Errors: FolderUnusable, DiskFull, where the file cannot be written.
    """
    with _told(f"log file '{config.log_file}'", "Choose another one with --log-file."):
        if config.log_file is not None and (config.log_file.is_file() or not config.log_file.exists()):
            attempt(config.log_file.parent)  # an empty file can be made on a full disk
        file = opened(config.log_file, config.log_file_size, config.log_file_count)
    log.set_up(config.log_level, config.log_format, file=file)
    if file is None:
        yield
        return
    said = logging.getLogger(f"{__name__}.file")
    said.addHandler(file)
    said.propagate = False  # stderr is told by others
    try:
        yield
    except FluidError as error:
        said.error("%s", error.message)
        raise
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # whatever the defect is: of a service nobody sees stderr, and this file must say it
        said.critical("the server failed", exc_info=True)
        raise
    finally:
        file.close()


@contextmanager
def prepared(config: ServerConfig) -> Generator[None, None, None]:
    """Have the data folder ready and all temporary files in it, as long as this lasts.

    Errors: FolderUnusable, DiskFull. Without a data folder only the system's temporary folder is tried: what is kept
    in the user's folder is begun when it is needed, and then a request is told.
    """
    if config.data_dir is None:
        with _told("temporary folder", "Set TMPDIR (on Windows TEMP) to another one."):
            attempt(Path(tempfile.gettempdir()))
        yield
        return
    with ExitStack() as stack:
        with _told(f"data folder '{config.data_dir}'", "Choose another one with --data-dir."):
            attempt(config.data_dir)
            config.model_path.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(own_folder(config.data_dir / "tmp"))
        keep_temporary_files_in(temporary)
        yield


def attempt(folder: Path) -> None:
    """Make the folder, and write something there. Errors: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    trial = folder / f".trial.{os.urandom(8).hex()}"
    try:
        with trial.open("wb") as file:
            file.write(bytes(NEEDED))
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


@contextmanager
def _told(what: str, instead: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise why_not(error, what, instead) from error


def why_not(error: OSError, what: str, instead: str) -> CannotStart:
    """Why something cannot be written, and what to do."""
    if error.errno in FULL:
        return DiskFull(f"The disk of the {what} is full. Free some room. Or: {instead}")
    reason = (error.strerror or "it cannot be found").lower()
    rights = "Give this user the right to. Or: " if isinstance(error, PermissionError) else ""
    return FolderUnusable(f"The {what} cannot be written ({reason}). {rights}{instead}")
