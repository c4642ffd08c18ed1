"""Uploads: a multipart form is read once as it comes in, its file straight onto the disk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from pydantic import ByteSize
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from fluid_server.errors import InvalidRequest, OutOfDisk, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # is there for type checkers alone

FILE = "file"  # the one field that is a file
MAX_FIELDS = 300  # the other fields of a form, single entries of lists included
MAX_VALUE = 64 * 1024  # bytes of one of them
MAX_HEADER = 8 * 1024  # bytes of one header of a part: a file's name is in it
MAX_HEADERS = 8  # of a part
ENOUGH = 1024 * 1024  # bytes that are worth a write
SHOWN = 80  # characters of a name that a client made up
LATER, TRIES = 0.5, 120  # seconds between, and number of, tries to delete a file that somebody still reads


class Upload:
    """A form that has come in whole: ``fields`` as they were sent, and the file, on disk until ``close``."""

    def __init__(self, folder: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / "upload"
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        """What the client calls the file; None where it sent none."""

    def close(self, tries: int = TRIES) -> None:
        """The file is not needed any more. A second time does nothing. Called on the event loop.

        On Windows a file that is open cannot be deleted, and a worker that was told to stop reading it lets go of it a
        moment later.
        """
        self._folder.cleanup()
        if tries and self.path.exists():
            asyncio.get_running_loop().call_later(LATER, self.close, tries - 1)


async def receive(request: Request, folder: Path, limit: ByteSize) -> Upload:
    """Read the whole form; its file goes into a folder of its own in ``folder``.

    Errors: InvalidRequest naming the field, TooLarge beyond ``limit``, OutOfDisk, ClientDisconnect.
    """
    with _on_disk():
        upload = await asyncio.to_thread(Upload, folder)
    complete = False
    try:
        with _on_disk():
            await _receive(request, upload, limit)
        complete = True
    finally:
        if not complete:  # whatever ended it, nothing is left behind
            upload.close()
    return upload


async def _receive(request: Request, upload: Upload, limit: ByteSize) -> None:
    parts = _Parts(limit)
    with _translated():
        parser = MultipartParser(
            _boundary(request), parts.callbacks(), max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER
        )
    with upload.path.open("wb") as file:
        async for data in _parsed(request, parser, parts):
            await asyncio.to_thread(file.write, data)
    if not parts.ended:
        raise InvalidRequest("The form breaks off before its end. Send it again.", param=FILE, code="invalid_body")
    upload.fields = parts.fields
    upload.file_name = parts.file_name if parts.file_name or parts.size else None  # a browser's file not chosen


async def _parsed(request: Request, parser: MultipartParser, parts: _Parts) -> AsyncGenerator[bytes, None]:
    """The file's bytes, in pieces that are worth a write."""
    async for chunk in request.stream():
        with _translated():
            parser.write(chunk)
        if len(parts.data) >= ENOUGH:
            yield parts.taken()
    yield parts.taken()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except FormParserError as error:
        raise InvalidRequest(
            "The body is no multipart form that can be read. Let the HTTP library make it, its boundary included.",
            param=FILE,
            code="invalid_body",
        ) from error


@contextmanager
def _on_disk() -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutOfDisk(f"The upload could not be written to the disk ({reason}). Make room there.") from error


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest(
            f"Send a multipart form ('Content-Type: multipart/form-data; boundary=…') with the audio as '{FILE}'.",
            param=FILE,
            code="invalid_body",
        )
    return boundary


class _Parts:
    """What the parser finds. ``data`` are bytes of the file that have not been written yet."""

    def __init__(self, limit: ByteSize) -> None:
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        self.size = 0
        self.data = bytearray()
        self.ended = False
        self._limit = limit
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = ""
        self._name = ""
        self._in_file = False
        self._text = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._start,
            "on_part_data": self._on_data,
            "on_part_end": self._finish,
            "on_end": self._on_end,
        }

    def taken(self) -> bytes:
        """The bytes to be written now."""
        data = bytes(self.data)
        self.data.clear()
        return data

    def _begin(self) -> None:
        self._disposition = ""
        self._text.clear()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._header.clear()
        self._value.clear()

    def _start(self) -> None:
        """A part's headers are known: whose part is it?"""
        _, options = parse_options_header(self._disposition)
        if not options.get(b"name"):
            raise InvalidRequest(
                "A part of the form has no name. Give each its 'Content-Disposition: form-data; name=…'.",
                code="invalid_body",
            )
        self._name = _text(options[b"name"], "a field's name")
        self._in_file = b"filename" in options
        if self._in_file:
            self._start_file(options[b"filename"].decode("utf-8", "replace"))
        elif self._name == FILE:
            raise InvalidRequest(
                f"'{FILE}' came as a plain field and not as a file. Send it with a file name, with curl as "
                f"-F {FILE}=@NAME.",
                param=FILE,
                code="missing_required_parameter",
            )
        elif len(self.fields) >= MAX_FIELDS:
            raise InvalidRequest(
                f"The form has more than {MAX_FIELDS} fields.", param=self._name[:SHOWN], code="invalid_body"
            )

    def _start_file(self, file_name: str) -> None:
        shown = self._name[:SHOWN]
        if self._name != FILE:
            raise InvalidRequest(
                f"A file was sent as '{shown}'. Send the audio as '{FILE}', and all else as plain fields.", param=shown
            )
        if self.file_name is not None:
            raise InvalidRequest(f"'{FILE}' was sent more than once. Send one file a request.", param=FILE)
        self.file_name = file_name

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_file:
            self._text += data[start:end]
            if len(self._text) > MAX_VALUE:
                shown = self._name[:SHOWN]
                raise InvalidRequest(f"'{shown}' is longer than {MAX_VALUE} bytes.", param=shown)
            return
        self.size += end - start
        if self.size > self._limit:
            raise TooLarge(
                f"The file is larger than {self._limit.human_readable()}. Send a shorter or compressed one, or "
                "start the server with a larger --max-upload.",
                param=FILE,
            )
        self.data += data[start:end]

    def _finish(self) -> None:
        if not self._in_file:
            self.fields.append((self._name, _text(bytes(self._text), f"'{self._name[:SHOWN]}'", self._name)))

    def _on_end(self) -> None:
        self.ended = True


def _text(data: bytes, what: str, name: str | None = None) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{what[:1].upper()}{what[1:]} is not UTF-8.", param=name and name[:SHOWN]) from error
