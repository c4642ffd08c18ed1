"""Logs: readable for people, one JSON object a line for machines. Always UTF-8; on stderr, and in a file if wished."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
UNFINISHED = "ASGI callable returned without completing"
COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
RESET = "\x1b[0m"


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in PLAIN_ATTRIBUTES}


class TextFormatter(logging.Formatter):
    """``12:30:01 INFO    message  key=value``, coloured on a terminal; in a file the day comes first."""

    def __init__(self, *, colour: bool, day: bool = False) -> None:
        super().__init__()
        self._colour = colour
        self._when = "%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as a line, a traceback below it where there is one."""
        when = datetime.fromtimestamp(record.created).astimezone().strftime(self._when)
        extras = "".join(f"  {key}={value}" for key, value in _extras(record).items())
        line = printable(f"{when} {record.levelname:<7} {record.getMessage()}{extras}")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        colour = COLOURS.get(record.levelname, "") if self._colour else ""
        return f"{colour}{line}{RESET}" if colour else line


def printable(text: str) -> str:
    """The text with everything escaped that could forge a line or move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, and the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one line of JSON."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def set_up(level: str = "info", style: str = "text", *, file: logging.Handler | None = None) -> None:
    """Send everything from ``level`` on to stderr, and to a file's handler, as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(colour=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    if file is not None:
        file.setFormatter(JsonFormatter() if style == "json" else TextFormatter(colour=False, day=True))
        root.addHandler(file)
    root.setLevel(level.upper())
    for chatty in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "asyncio",
        "httpx2",
        "httpcore2",
        "huggingface_hub",
        "filelock",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings are of forms, and clients are told
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn takes an answer that was broken off on purpose for a defect, and a WebSocket that was turned away too."""
    return not str(record.msg).startswith(UNFINISHED)
