"""Reads what the catalog needs out of an OpenVINO IR graph (.xml), by search rather than by parsing.

The files are megabytes long and only a handful of their elements matter. As nothing is parsed, no entity
is ever expanded; each search is linear in the file. A tag ends before the next ``<``: no attribute holds one.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fluid_server.catalog.folder import BadModel, File

MAX_XML_BYTES = 64 << 20
MAX_INPUTS = 10_000
_TAIL = 2 << 20

_LAYER = re.compile(rb"<layer\b([^<]*+)")
_NAME = re.compile(rb'\bname="([^"]{0,512})"')
_PORT_NAMES = re.compile(rb'\bnames="([^"]{0,512})"')
_OUTPUT_NAMES = re.compile(rb'\boutput_names="([^"]{0,512})"')
_CONSTANT = re.compile(rb'\boffset="(\d{1,18})" size="(\d{1,18})"')
_KNOWN_OUTPUT = re.compile(rb'\bnames="([^"]{0,512}\b)?(logits|last_hidden_state|sentence_embedding)\b')
_TEMPLATE = re.compile(rb'<chat_template value="([^"<]*+)"')
_COMPRESSION = re.compile(rb'<mode value="(\w{1,32})"')


@dataclass(frozen=True, slots=True)
class Graph:
    """The names at a graph's ends, how many bytes of weights it needs, and how these are compressed."""

    inputs: frozenset[str]
    outputs: frozenset[str]
    weights: int
    compression: str | None
    chat_template: str | None


def read_graph(file: File) -> Graph:
    """Read an IR graph. BadModel if it is no whole graph, OSError if it cannot be read."""
    if file.size > MAX_XML_BYTES:
        raise BadModel(f"{file.path.name} is too large to be a model's graph")
    return _read(file.path, file.size, file.modified)


@lru_cache(maxsize=256)
def _read(path: Path, _size: int, _modified: float) -> Graph:
    """Remembered while the file keeps its size and date: a catalog is scanned again and again."""
    data = path.read_bytes()
    if b"<net" not in data[:4096]:
        raise BadModel(f"{path.name} is not an OpenVINO graph: download the model again")
    if not data.rstrip().endswith(b"</net>"):
        raise BadModel(f"{path.name} is cut short: download the model again")
    inputs, outputs = _ends(data)
    tail = data[-_TAIL:]
    template = _TEMPLATE.search(tail)
    compression = _COMPRESSION.search(tail.partition(b"<weight_compression>")[2], 0, 8192)
    return Graph(
        inputs,
        outputs or _named_ports(data),
        max((int(start) + int(size) for start, size in _CONSTANT.findall(data)), default=0),
        compression.group(1).decode() if compression else None,
        html.unescape(template.group(1).decode("utf-8", "replace")) if template else None,
    )


def _ends(data: bytes) -> tuple[frozenset[str], frozenset[str]]:
    inputs: set[str] = set()
    outputs: set[str] = set()
    parameters = 0
    for layer in _LAYER.finditer(data):
        tag = layer.group(1)
        if parameters > MAX_INPUTS:
            raise BadModel("its graph has more inputs than any model: download the model again")
        if b'type="Parameter"' in tag:
            parameters += 1
            body = data[layer.end() : layer.end() + 4096].split(b"</layer>")[0]
            inputs |= _names(_NAME, tag) | _names(_PORT_NAMES, body)
        elif b'type="Result"' in tag:
            outputs |= _names(_OUTPUT_NAMES, tag)
    return frozenset(inputs), frozenset(outputs)


def _names(pattern: re.Pattern[bytes], text: bytes) -> set[str]:
    match = pattern.search(text)
    return set(match.group(1).decode("utf-8", "replace").split(",")) if match else set()


def _named_ports(data: bytes) -> frozenset[str]:
    """Older exporters name an output only at the port that feeds it."""
    return frozenset(match.group(2).decode() for match in _KNOWN_OUTPUT.finditer(data))
