"""Reads the header of a GGUF file, and finds out whether all of its tensors are there.

Nothing in the file is trusted: every length is checked against the file and against a limit before it is
read, so that a hostile or garbled file costs little and ends in one GgufError. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from struct import Struct
from typing import IO

from fluid_server.catalog.folder import BadModel
from fluid_server.catalog.ggml import TYPE_SIZES

MAX_HEADER_BYTES = 256 << 20
MAX_KEPT_BYTES = 16 << 20
MAX_KEPT_STRING = 1 << 20
MAX_KEPT_ARRAY = 4096
MAX_STRINGS = 2_000_000
MAX_KEYS = 65_536
MAX_TENSORS = 131_072
MAX_NAME = 1024
MAX_DIMENSIONS = 4

_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, Struct] = {
    0: Struct("<B"),
    1: Struct("<b"),
    2: Struct("<H"),
    3: Struct("<h"),
    4: Struct("<I"),
    5: Struct("<i"),
    6: Struct("<f"),
    7: Struct("<?"),
    10: Struct("<Q"),
    11: Struct("<q"),
    12: Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]
_TOKENS = "tokenizer.ggml.tokens"
_SPECIAL_TOKENS = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
}

Scalar = int | float | str
Value = Scalar | tuple[Scalar, ...]


class GgufError(BadModel):
    """The file is no GGUF file that an engine could load."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself. Long lists are left out, but for the texts of the special tokens."""

    version: int
    metadata: Mapping[str, Value]
    special_tokens: Mapping[str, str]
    vocabulary: int
    tensors: int


@dataclass(slots=True)
class _Reader:
    """The file, read strictly forward, with a budget."""

    file: IO[bytes]
    name: str
    size: int
    position: int = 0
    strings: int = 0
    kept: int = 0
    token_offsets: array[int] = field(default_factory=lambda: array("Q"))

    def bad(self, why: str) -> GgufError:
        return GgufError(f"{self.name} {why}")

    def claim(self, count: int) -> None:
        """Move on by ``count`` bytes, if the file has them and the budget allows them."""
        self.position += count
        if self.position > self.size:
            raise self.bad("is cut short: download it again")
        if self.position > MAX_HEADER_BYTES:
            raise self.bad("has an impossibly long header: download it again")

    def take(self, count: int) -> bytes:
        self.claim(count)
        data = self.file.read(count)
        if len(data) != count:
            raise self.bad("changed while it was being read: try again")
        return data

    def skip(self, count: int) -> None:
        self.claim(count)
        if count < io.DEFAULT_BUFFER_SIZE:
            self.file.read(count)
        else:
            self.file.seek(count, io.SEEK_CUR)

    def number(self, form: Struct = _U64) -> int | float:
        value: int | float = form.unpack(self.take(form.size))[0]
        return value

    def count(self, limit: int, what: str, form: Struct = _U64) -> int:
        value = int(self.number(form))
        if value > limit:
            raise self.bad(f"claims {value} {what}, which no model has: download it again")
        return value

    def text(self, limit: int, what: str = "bytes of text") -> str:
        return self.take(self.count(limit, what)).decode("utf-8", "replace")

    def keep(self, count: int) -> None:
        self.kept += count
        if self.kept > MAX_KEPT_BYTES:
            raise self.bad("has more metadata than any model: download it again")


def read_header(path: Path) -> Header:
    """Read and check a GGUF file (versions 2 and 3). GgufError if it is broken, OSError if unreadable."""
    with path.open("rb", buffering=1 << 16) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        reader = _Reader(file, path.name, size)
        version = _version(reader)
        tensors = reader.count(MAX_TENSORS, "tensors")
        metadata = _metadata(reader, reader.count(MAX_KEYS, "keys"))
        _check_tensors(reader, tensors, metadata)
        return Header(version, metadata, _special_tokens(reader, metadata), len(reader.token_offsets), tensors)


def _version(reader: _Reader) -> int:
    if reader.take(4) != b"GGUF":
        raise reader.bad("is not a GGUF file")
    version = int(reader.number(_U32))
    if version in (2, 3):
        return version
    if version and version & 0xFFFF == 0:
        raise reader.bad("is a big-endian GGUF file, which this machine cannot use")
    raise reader.bad(f"has GGUF version {version}; versions 2 and 3 can be read")


def _metadata(reader: _Reader, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = reader.text(MAX_NAME, "letters in a key")
        value = _value(reader, key)
        if value is not None:
            reader.keep(len(key))
            metadata[key] = value
    return metadata


def _value(reader: _Reader, key: str) -> Value | None:
    kind = int(reader.number(_U32))
    if kind == _STRING:
        return _string(reader)
    if kind == _ARRAY:
        return _array(reader, key)
    return reader.number(_scalar(reader, kind))


def _scalar(reader: _Reader, kind: int) -> Struct:
    form = _SCALARS.get(kind)
    if form is None:
        raise reader.bad("has metadata of an unknown type: it is damaged, or newer than this server")
    return form


def _string(reader: _Reader) -> str | None:
    length = int(reader.number())
    if length > MAX_KEPT_STRING:
        reader.skip(length)
        return None
    reader.keep(length)
    return reader.take(length).decode("utf-8", "replace")


def _array(reader: _Reader, key: str) -> Value | None:
    kind, length = int(reader.number(_U32)), int(reader.number())
    if kind == _STRING:
        _skip_strings(reader, length, note=key == _TOKENS)
        return None
    form = _scalar(reader, kind)
    if length > MAX_KEPT_ARRAY:
        reader.skip(length * form.size)
        return None
    reader.keep(length * form.size)
    data = reader.take(length * form.size)
    return tuple(value for (value,) in form.iter_unpack(data))


def _skip_strings(reader: _Reader, count: int, *, note: bool) -> None:
    reader.strings += count
    if reader.strings > MAX_STRINGS:
        raise reader.bad("has a longer vocabulary than any model: download it again")
    offsets = array("Q")
    for _ in range(count):
        offsets.append(reader.position)
        reader.skip(int(reader.number()))
    if note:
        reader.token_offsets = offsets


def _special_tokens(reader: _Reader, metadata: Mapping[str, Value]) -> dict[str, str]:
    """The texts of the special tokens, found by going back to where their strings begin."""
    tokens: dict[str, str] = {}
    for name, key in _SPECIAL_TOKENS.items():
        index = metadata.get(key)
        if isinstance(index, int) and 0 <= index < len(reader.token_offsets):
            reader.position = reader.file.seek(reader.token_offsets[index])
            tokens[name] = reader.text(MAX_NAME, "letters in a special token")
    return tokens


def _check_tensors(reader: _Reader, count: int, metadata: Mapping[str, Value]) -> None:
    """Every tensor must lie inside the file: the engines map it and would fault behind its end."""
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise reader.bad("has an impossible alignment: download it again")
    end = max((_tensor_end(reader, alignment) for _ in range(count)), default=0)
    needed = -(-reader.position // alignment) * alignment + end if end else 0
    if needed > reader.size:
        there = f"{reader.size / 1e6:,.1f} of {needed / 1e6:,.1f} MB are there"
        raise reader.bad(f"is cut short ({there}): download it again")


def _tensor_end(reader: _Reader, alignment: int) -> int:
    """Where one tensor ends, counted from where the data begin; 0 if its type is unknown here."""
    reader.skip(reader.count(MAX_NAME, "letters in a tensor's name"))
    rank = reader.count(MAX_DIMENSIONS, "dimensions in a tensor", _U32)
    shape = [int(reader.number()) for _ in range(rank)]
    kind, offset = int(reader.number(_U32)), int(reader.number())
    if offset % alignment:
        raise reader.bad("has a tensor in an impossible place: download it again")
    if kind not in TYPE_SIZES:
        return 0
    block, width = TYPE_SIZES[kind]
    if shape and shape[0] % block:
        raise reader.bad("has a tensor of an impossible shape: download it again")
    return offset + prod(shape) // block * width
