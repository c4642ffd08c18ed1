"""Messages across a pipe."""

from __future__ import annotations

import io

import pytest

from fluid_server.errors import ContextTooLong, FluidError, ModelFailed
from fluid_server.types import Counters, GenerateRequest, TextPiece
from fluid_server.workers.protocol import Cancel, Channel, Events, Failed, FromWorker, Stop, Submit, ToWorker

MESSAGES: list[ToWorker | FromWorker] = [
    Submit(7, GenerateRequest(text="ä\n\u2028🦊", stop=("x",))),
    Cancel(7),
    Stop(),
    Events(((7, TextPiece(0, "hello")),), Counters(running=1)),
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
