"""Messages across a pipe."""

from __future__ import annotations

import io

import pytest

from fluid_server.errors import ContextTooLong, FluidError, ModelFailed
from fluid_server.types import (
    Cancelled,
    ChoiceEnd,
    Counters,
    Done,
    Event,
    GenerateRequest,
    ReasoningPiece,
    SoundPiece,
    TextPiece,
    TokenLogprob,
    ToolPiece,
    Usage,
)
from fluid_server.workers.protocol import (
    LENGTH,
    Cancel,
    Channel,
    Events,
    Failed,
    Frames,
    FromWorker,
    Garbled,
    Stop,
    Submit,
    ToWorker,
    encode,
)

LOGPROB = TokenLogprob(3, "a", -0.5, b"a", (TokenLogprob(4, "b", -1.0),))
EVENTS: tuple[Event, ...] = (
    TextPiece(0, "hello"),
    TextPiece(2, ""),
    TextPiece(1, "a", (LOGPROB,)),
    ReasoningPiece(0, "hm"),
    ToolPiece(0, 0, "{}", id="call_1", name="f"),
    ChoiceEnd(0, "stop"),
    SoundPiece(b"\0\1", 0.5),
    Done(Usage(prompt_tokens=1, completion_tokens=2)),
    Cancelled(),
)
MESSAGES: list[ToWorker | FromWorker] = [
    Submit(7, GenerateRequest(text="ä\n\u2028🦊", stop=("x",))),
    Cancel(7),
    Stop(),
    Events(tuple((number, event) for number, event in enumerate(EVENTS)), Counters(*range(1, 9))),
    Events((), Counters()),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_goes_in_comes_out(message: ToWorker | FromWorker) -> None:
    pipe = io.BytesIO()
    Channel(io.BytesIO(), pipe).send(message)
    assert Channel(io.BytesIO(pipe.getvalue()), io.BytesIO()).receive() == message


def test_a_failure_keeps_all_it_knows() -> None:
    error = ContextTooLong("too long", param="messages", retry_after=3.0)
    pipe = io.BytesIO()
    Channel(io.BytesIO(), pipe).send(Failed(error))
    message = Channel(io.BytesIO(pipe.getvalue()), io.BytesIO()).receive()
    assert isinstance(message, Failed)
    assert type(message.error) is ContextTooLong
    assert vars(message.error) == vars(error)


def test_the_end_of_the_pipe_is_an_eof() -> None:
    with pytest.raises(EOFError):
        Channel(io.BytesIO(), io.BytesIO()).receive()


def test_a_message_cut_in_the_middle_is_an_eof() -> None:
    pipe = io.BytesIO()
    Channel(io.BytesIO(), pipe).send(MESSAGES[0])
    with pytest.raises(EOFError):
        Channel(io.BytesIO(pipe.getvalue()[:-1]), io.BytesIO()).receive()


def test_failures_say_their_code_unless_told_otherwise() -> None:
    assert ModelFailed("x").code == "model_load_failed"
    assert FluidError("x", code="y").code == "y"


@pytest.mark.parametrize("size", [1, 7, 64, 10**6])
def test_messages_are_found_however_their_bytes_were_cut(size: int) -> None:
    data = b"".join(map(encode, MESSAGES))
    frames = Frames()
    found = [message for at in range(0, len(data), size) for message in frames.feed(data[at : at + size])]
    assert found == MESSAGES


def test_who_stops_in_the_middle_of_what_came_gets_the_rest_later() -> None:
    frames = Frames()
    first = next(frames.feed(encode(Cancel(1)) + encode(Cancel(2))))
    assert [first, *frames.feed(encode(Cancel(3)))] == [Cancel(1), Cancel(2), Cancel(3)]


@pytest.mark.parametrize(
    "garbage",
    [
        b"warning: the engine speaks on stdout",
        LENGTH.pack(4) + b"abcd",
        LENGTH.pack(0),
        encode(Cancel(2)).replace(b"Cancel", b"Cancex"),
        LENGTH.pack(8) + b"\x80\x05K\x01K\x02\x86.",
    ],
    ids=["text", "no pickle", "nothing", "unknown", "a strange tuple"],
)
def test_what_is_no_message_is_told_from_those_before_it(garbage: bytes) -> None:
    feeding = Frames().feed(encode(Cancel(1)) + garbage)
    assert next(feeding) == Cancel(1)
    with pytest.raises(Garbled):
        next(feeding)
