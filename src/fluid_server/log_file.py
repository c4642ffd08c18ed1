"""A log file that never grows without end, and never stops the program: FILE, and older ones as FILE.1, FILE.2 …"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

NEXT_TRY = 60.0  # seconds after which a file that could not be moved away is tried again


def opened(path: Path | None, max_bytes: int, count: int) -> RotatingFile | None:
    """The log file, where there is to be one. Errors: OSError where it cannot be written."""
    return RotatingFile(path, max_bytes=max_bytes, count=count) if path is not None else None


class RotatingFile(logging.FileHandler):
    """Appends to a file, in UTF-8. When it has grown to ``max_bytes`` it becomes FILE.1, what was that FILE.2, and so
    on; ``count`` older files are kept.

    Where it cannot be moved (on Windows, while another program has it open) it is written on, and tried again later.
    Where it was moved or deleted by somebody else, such as a second server that writes to it, a new one is begun.
    """

    def __init__(self, path: Path, *, max_bytes: int, count: int) -> None:
        """Open it, making its folder. Errors: OSError where it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._path = Path(self.baseFilename)
        self._max_bytes = max_bytes
        self._count = count
        self._not_before = 0.0
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. What fails is said on stderr once, and never to who logs."""
        self._prepare()
        if self.stream is not None:  # else it cannot be opened, and FileHandler would try again and raise
            super().emit(record)

    def close(self) -> None:
        """Close it. What could not be written before cannot be now."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that is full or gone is told in one line; everything else is a defect, told by logging."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._tell(error)
        else:
            super().handleError(record)

    def _prepare(self) -> None:
        try:
            now = os.fstat(self.stream.fileno()) if self.stream is not None else None
            if now is None or not self._is_ours(now):
                self._reopen()
            elif now.st_size >= self._max_bytes and time.monotonic() >= self._not_before:
                self._rotate()
        except OSError as error:
            self._tell(error)

    def _is_ours(self, now: os.stat_result) -> bool:
        """Whether the path still leads to the file that is open."""
        try:
            return os.path.samestat(self._path.stat(), now)
        except FileNotFoundError:
            return False

    def _reopen(self) -> None:
        self._shut()
        self.stream = self._open()

    def _rotate(self) -> None:
        self._shut()  # Windows moves no open file
        try:
            self._move_away()
        except OSError:
            self._not_before = time.monotonic() + NEXT_TRY
        self.stream = self._open()

    def _move_away(self) -> None:
        """The file itself goes first: where it cannot go, no older one is pushed off the end for nothing."""
        waiting = self._older(0)
        self._push(waiting)
        self._path.replace(waiting)
        self._push(waiting)

    def _push(self, waiting: Path) -> None:
        """Make room for ``waiting``, if it is there. An older file that another program holds open stays."""
        if not waiting.exists():
            return
        for number in range(self._count - 1, -1, -1):
            with suppress(OSError):
                self._older(number).replace(self._older(number + 1))

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _shut(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):  # as in close
                stream.close()

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            print(f"The log file cannot be written ({error.strerror}); the server goes on without.", file=sys.stderr)
