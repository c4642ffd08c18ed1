"""Forms as they come in: whole, broken, too large, or cut off by a client that leaves. No model is needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from pydantic import ByteSize
from starlette.requests import ClientDisconnect

from fluid_server.api import uploads
from fluid_server.api.uploads import MAX_FIELDS, MAX_VALUE, Upload
from fluid_server.errors import FluidError, InvalidRequest, OutOfDisk, TooLarge

BOUNDARY = "limit"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LIMIT = ByteSize(100_000)
SOUND = bytes(range(256)) * 300


def part(disposition: str, value: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join((f"Content-Disposition: form-data; {disposition}", *headers))
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"


def plain(name: str, value: str = "x") -> bytes:
    return part(f'name="{name}"', value.encode())


def sound(value: bytes = SOUND, name: str = "a.wav") -> bytes:
    return part(f'name="file"; filename="{name}"', value, "Content-Type: audio/wav")


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def received(folder: Path, chunks: Iterable[bytes], kind: str = FORM, *, leaves: bool = False) -> Upload:
    """What comes of a body that arrives in these chunks, from a client that may leave after them."""
    end: dict[str, Any] = {"type": "http.disconnect" if leaves else "http.request", "body": b"", "more_body": False}
    messages = chain(({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks), [end])

    async def receive() -> dict[str, Any]:
        return next(messages)

    request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive)
    return asyncio.run(uploads.receive(request, folder, LIMIT))


def refused(folder: Path, *parts: bytes, kind: str = FORM) -> FluidError:
    """The failure of a form, which must leave nothing behind."""
    with pytest.raises(InvalidRequest) as caught:
        received(folder, [whole(*parts)], kind)
    assert not list(folder.iterdir())
    return caught.value


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_a_form_is_read_however_it_is_cut_into_chunks(tmp_path: Path, size: int) -> None:
    body = whole(plain("model", "Zürich 😀"), plain("a[]", "1"), sound(), plain("a[]", "2\r\n--limi"))
    upload = received(tmp_path, (body[at : at + size] for at in range(0, len(body), size)))
    assert upload.fields == [("model", "Zürich 😀"), ("a[]", "1"), ("a[]", "2\r\n--limi")]
    assert (upload.file_name, upload.path.read_bytes()) == ("a.wav", SOUND)
    upload.close()
    upload.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_still_read_goes_as_soon_as_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where whoever reads a file keeps it from being deleted."""
    upload, readers, unlink = received(tmp_path, [whole(sound())]), ["worker"], os.unlink

    def only_what_is_not_read(*path: Any, **options: Any) -> None:
        if readers:
            raise PermissionError(13, "it is used by another process")
        unlink(*path, **options)

    async def leave() -> None:
        upload.close()
        assert upload.path.exists()
        readers.clear()
        async with asyncio.timeout(10):
            while upload.path.exists():
                await asyncio.sleep(0)

    monkeypatch.setattr(os, "unlink", only_what_is_not_read)
    monkeypatch.setattr(uploads, "LATER", 0.0)
    asyncio.run(leave())
    assert not list(tmp_path.iterdir())


def test_the_boundary_may_stand_in_quotes(tmp_path: Path) -> None:
    received(tmp_path, [whole(sound())], 'Multipart/Form-Data; charset=utf-8; boundary="limit"').close()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "C:\\a.wav", "a" * 300, 'say \\"hi\\".wav', "Zürich 😀.wav"])
def test_the_name_of_the_file_does_not_matter(tmp_path: Path, name: str) -> None:
    upload = received(tmp_path, [whole(sound(name=name))])
    assert (upload.path.name, upload.path.read_bytes()) == ("upload", SOUND)
    upload.close()


def test_a_file_that_was_not_chosen_is_none(tmp_path: Path) -> None:
    upload = received(tmp_path, [whole(sound(b"", name=""))])
    assert upload.file_name is None
    upload.close()


def test_a_file_without_content_is_one(tmp_path: Path) -> None:
    upload = received(tmp_path, [whole(sound(b""))])
    assert (upload.file_name, upload.path.read_bytes()) == ("a.wav", b"")
    upload.close()


@pytest.mark.parametrize(
    ("parts", "param", "says"),
    [
        ([sound(), sound()], "file", "more than once"),
        ([part('name="audio"; filename="a.wav"', SOUND)], "audio", "as 'file'"),
        ([part('name="file"', SOUND)], "file", "with a file name"),
        ([part('name="model"; filename="m"', b"m"), sound()], "model", "plain fields"),
        ([part('filename="a.wav"', SOUND)], None, "no name"),
        ([part('name=""', b"x")], None, "no name"),
        ([plain("prompt", "a" * (MAX_VALUE + 1))], "prompt", "longer"),
        ([part('name="prompt"', b"\xff")], "prompt", "UTF-8"),
        ([part('name="model"', b"m", "Content-Type: " + "a" * 10_000)], "file", "no multipart form"),
        ([part('name="model"', b"m", *(f"X-{number}: a" for number in range(20)))], "file", "no multipart form"),
        ([plain("a")] * (MAX_FIELDS + 1), "a", "fields"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_form_is_named(tmp_path: Path, parts: list[bytes], param: str | None, says: str) -> None:
    error = refused(tmp_path, *parts)
    assert error.param == param
    assert says in error.message


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/mixed; boundary=limit",
        "",
    ],
)
def test_another_content_type_is_refused(tmp_path: Path, kind: str) -> None:
    error = refused(tmp_path, kind=kind)
    assert (error.param, error.code) == ("file", "invalid_body")


@pytest.mark.parametrize("kind", ["", FORM + "a" * 1000])
@pytest.mark.parametrize("body", [b"", b"garbage", whole(sound())[:-5], b"--limit\r\n\r\n\r\n--limit--"])
def test_a_broken_body_is_refused(tmp_path: Path, body: bytes, kind: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        received(tmp_path, [body], kind or FORM)
    assert caught.value.code == "invalid_body"
    assert not list(tmp_path.iterdir())


def test_a_file_beyond_the_limit_is_refused_before_its_end(tmp_path: Path) -> None:
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        yield sound(b"")[:-2]
        for _ in range(20):
            read += 10_000
            yield bytes(10_000)

    with pytest.raises(TooLarge) as caught:
        received(tmp_path, endless())
    assert read == LIMIT + 10_000
    assert caught.value.param == "file"
    assert "--max-upload" in caught.value.message
    assert not list(tmp_path.iterdir())


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ClientDisconnect):
        received(tmp_path, [sound()[:2000]], leaves=True)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutOfDisk) as caught:
        received(tmp_path / "gone", [whole(sound())])
    assert str(tmp_path) not in caught.value.message
