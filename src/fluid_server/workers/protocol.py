"""What server and worker say to each other, and how it crosses the pipe: one length, then one pickled message.

To the worker: Load, Submit, Feed, Cancel, Stop. Back: Progress, Loaded, Events (one a step at most, however many
requests are running), Failed (the whole worker). Both ends are our own processes, so pickle is safe here.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from fluid_server.errors import FluidError
from fluid_server.types import Counters, Event, Fed, ModelInfo, ModelSpec, Request, RuntimeOptions, TextPiece

LENGTH = struct.Struct("<Q")
LONGEST = 2**32  # bytes of a message; a length beyond it is none


@dataclass(frozen=True, slots=True)
class Load:
    """Load this model with this runtime: always the first message."""

    runtime: str
    spec: ModelSpec
    options: RuntimeOptions


@dataclass(frozen=True, slots=True)
class Submit:
    """Answer this request; ``id`` is unique in the life of the worker."""

    id: int
    request: Request


@dataclass(frozen=True, slots=True)
class Feed:
    """More for a live request; one that has ended is not fed any more."""

    id: int
    fed: Fed


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for this answer any more."""

    id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End in good order."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far loading has come; ``fraction`` from 0 to 1 where the engine tells."""

    text: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is in memory."""

    info: ModelInfo


@dataclass(frozen=True, slots=True)
class Events:
    """What one step brought: (request id, event or that request's failure), and the worker's own counters."""

    items: tuple[tuple[int, Event | FluidError], ...]
    counters: Counters


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot go on: it did not load, or its engine broke."""

    error: FluidError


ToWorker = Load | Submit | Feed | Cancel | Stop
FromWorker = Progress | Loaded | Events | Failed


def encode(message: ToWorker | FromWorker) -> bytes:
    """A message as it crosses the pipe."""
    payload = pickle.dumps(_packed(message) if isinstance(message, Events) else message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(payload)) + payload


class Garbled(Exception):
    """Bytes that are no message: what wrote them has lost its mind."""


def decode(payload: bytes | bytearray) -> object:
    """A message that has come. Errors: Garbled."""
    try:
        message = pickle.loads(payload)  # noqa: S301 - written by our own process
        return _unpacked(*message) if type(message) is tuple else message
    except (EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError, MemoryError, ImportError,
            AttributeError) as error:  # fmt: skip
        raise Garbled(str(error)) from error


# A step's events are most of what is said. A pickled object costs 3 µs to write and to read, a plain tuple 0.2: so the
# frequent one, a piece of text, crosses as (request id, choice, text), and so do the counters.
def _packed(message: Events) -> tuple[list[tuple[Any, ...]], tuple[int, ...]]:
    items = [
        (number, event.choice, event.text) if type(event) is TextPiece and not event.logprobs else (number, event)
        for number, event in message.items
    ]
    return items, tuple(message.counters)


def _unpacked(items: list[tuple[Any, ...]], counters: tuple[int, ...]) -> Events:
    return Events(
        tuple([item if len(item) == 2 else (item[0], TextPiece(item[1], item[2])) for item in items]),
        Counters(*counters),
    )


class Frames:
    """Messages out of bytes as they come, however those were cut."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[object]:
        """The messages that these bytes complete. Errors: Garbled, after the messages before."""
        self._held += data
        start, held = 0, len(self._held)
        try:
            while held - start >= LENGTH.size:
                (length,) = LENGTH.unpack_from(self._held, start)
                if length > LONGEST:
                    raise Garbled(f"a message cannot have {length} bytes")
                end = start + LENGTH.size + length
                if end > held:
                    return
                payload, start = self._held[start + LENGTH.size : end], end
                yield decode(payload)
        finally:
            del self._held[:start]


class Channel:
    """One end of the pipe. ``receive`` raises EOFError when the other side has gone."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: ToWorker | FromWorker) -> None:
        """Write one message; blocks while the pipe is full."""
        self.write(encode(message))

    def write(self, frame: bytes) -> None:
        """Write what ``encode`` made."""
        self._writer.write(frame)
        self._writer.flush()

    def receive(self) -> object:
        """Read one message; blocks until it is there."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return decode(self._exactly(length))

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise EOFError("the other side has gone")
        return data
