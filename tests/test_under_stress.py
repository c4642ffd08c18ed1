"""What the server does when clients leave, workers die, it is told to end, or many come at once."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.front_door import ECHO, GGUF, OPENVINO, PATIENCE, WHISPER, RunningServer, stop_signal, until

PACKAGES = {OPENVINO: "openvino_genai", GGUF: "xllamacpp", ECHO: "fluid_server"}
ENGINES = [
    pytest.param(model, marks=pytest.mark.skipif(not find_spec(PACKAGES[model]), reason="it has no wheel here"))
    for model in (OPENVINO, GGUF, ECHO)
]
CHAT = "/v1/chat/completions"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
FORM = "multipart/form-data; boundary=x"
# The server hears all signals in one place, so the second one is tried with one model.
ENDS = [pytest.param(*model.values, stop_signal(), marks=model.marks) for model in ENGINES]
if sys.platform != "win32":
    ENDS.append(pytest.param(ECHO, signal.SIGINT))


def endless(model: str, **fields: Any) -> dict[str, Any]:
    """A request that would go on to the end of the context. An engine's is there in two seconds, so that it does so
    eight times; echo's is far away, and more than one of it is more than a busy client reads in time.
    """
    messages = [{"role": "user", "content": "Count from 1 to 1000."}]
    many = 1 if model == ECHO else 8
    return {"model": model, "messages": messages, "n": many, "temperature": 0, "ignore_eos": True, **fields}


def of_model(server: RunningServer, model: str) -> dict[str, Any]:
    found: dict[str, Any] = server.health()["models"][model]
    return found


def counter(server: RunningServer, model: str, name: str) -> int:
    """The worker's own count; 0 before there is a worker."""
    return int((of_model(server, model)["counters"] or {}).get(name, 0))


@pytest.fixture
def own() -> Iterator[RunningServer]:
    """A server of its own for a test that ends or breaks it."""
    running = RunningServer.start("--echo", "--no-warm-up")
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def streaming(server: RunningServer, body: dict[str, Any]) -> Generator[Iterator[str], None, None]:
    """The lines of a stream, from its first text on."""
    with (
        httpx.Client(base_url=server.address or "", timeout=PATIENCE) as http,
        http.stream("POST", CHAT, json={**body, "stream": True}) as response,
    ):
        lines = (line for line in response.iter_lines() if line)
        next(line for line in lines if '"content":"' in line and '"content":""' not in line)
        yield lines


# --- many at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES[:2])
def test_sixteen_streams_all_finish_each_with_its_own_answer(client: openai.OpenAI, model: str) -> None:
    def one(number: int) -> str:
        messages: Any = [{"role": "user", "content": f"What is {number} + {number + 2}?"}]
        with client.chat.completions.create(model=model, messages=messages, temperature=0, stream=True) as stream:
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(16)))
    assert answers == [f"{number} + {number + 2} = {2 * number + 2}" for number in range(16)]


@pytest.mark.skipif(not find_spec("openvino_genai"), reason="it has no wheel here")
def test_a_language_model_and_a_whisper_work_side_by_side(server: RunningServer, client: openai.OpenAI) -> None:
    from tests.front_door import AUDIO

    with streaming(server, endless(OPENVINO)) as lines:
        heard = client.audio.transcriptions.create(model=WHISPER, file=AUDIO / "kitchen-light.wav")
        assert heard.text == "Turn on the kitchen light."
        assert next(lines).startswith("data: ")


# --- clients that leave --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_leaving_a_stream_frees_its_place(server: RunningServer, model: str) -> None:
    with streaming(server, endless(model)):
        cancelled = counter(server, model, "cancelled")
        assert counter(server, model, "running") == 1
    until(lambda: counter(server, model, "running") == 0)
    assert counter(server, model, "cancelled") == cancelled + 1
    assert of_model(server, model)["leases"] == 0


@pytest.mark.parametrize("model", ENGINES)
def test_leaving_an_answer_that_is_not_streamed_frees_its_place(server: RunningServer, model: str) -> None:
    # echo ends where it is told; the engines at the end of their context, which is long before 100,000 tokens
    body = endless(model, max_tokens=100_000)
    before = counter(server, model, "cancelled")
    with httpx.Client(base_url=server.address or "", timeout=PATIENCE) as http:
        waiting = threading.Thread(target=_ignore_the_cut, args=(http, body))
        waiting.start()
        until(lambda: counter(server, model, "running") == 1)
        _cut_connections(server, waiting, http)
    until(lambda: counter(server, model, "running") == 0)
    assert counter(server, model, "cancelled") == before + 1


def _ignore_the_cut(http: httpx.Client, body: dict[str, Any]) -> None:
    with suppress(httpx.HTTPError, RuntimeError, OSError):
        http.post(CHAT, json=body)


def _cut_connections(server: RunningServer, waiting: threading.Thread, http: httpx.Client) -> None:
    """Close the socket under a client that waits for its answer."""
    pool: Any = http._transport
    for connection in pool._pool.connections:
        stream = connection._connection._network_stream
        raw = stream.get_extra_info("socket")
        raw.shutdown(2)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


# --- workers that die ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_a_killed_worker_ends_its_request_readably_and_the_next_one_works(own: RunningServer, model: str) -> None:
    with streaming(own, endless(model)) as lines:
        psutil.Process(of_model(own, model)["pid"]).kill()
        rest = list(lines)
    assert '"code":"worker_died"' in rest[-1]
    assert "data: [DONE]" not in rest
    with openai.OpenAI(base_url=own.base_url, api_key="none", max_retries=0, timeout=PATIENCE) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=20)
    assert (answer.choices[0].message.content or "").startswith("Hello")


def test_a_killed_worker_fails_an_answer_that_is_not_streamed_with_a_status(own: RunningServer) -> None:
    with httpx.Client(base_url=own.address or "", timeout=PATIENCE) as http, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.post, CHAT, json=endless(ECHO, max_tokens=900_000))
        until(lambda: counter(own, ECHO, "running") == 1)
        psutil.Process(of_model(own, ECHO)["pid"]).kill()
        response = waiting.result(PATIENCE)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "worker_died"


# --- the end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "sign"), ENDS)
def test_a_signal_in_the_middle_of_a_generation_ends_cleanly(own: RunningServer, model: str, sign: int) -> None:
    with streaming(own, endless(model)) as lines:
        family = psutil.Process(own.process.pid).children(recursive=True)
        assert family
        own.process.send_signal(sign)
        rest = list(lines)
    assert '"code":"shutting_down"' in rest[-1] or rest[-1] == "data: [DONE]"
    assert own.process.wait(PATIENCE) == 0
    assert not psutil.wait_procs(family, PATIENCE)[1]
    assert not [line for line in own.log if "ERROR" in line or "Traceback" in line]


@pytest.mark.parametrize(("path", "kind"), [(CHAT, "application/json"), (TRANSCRIPTIONS, FORM)])
def test_a_signal_in_the_middle_of_a_body_is_told_to_the_client(own: RunningServer, path: str, kind: str) -> None:
    port = int((own.address or "").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire, wire.makefile("rb") as answer:
        head = f"Host: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\nExpect: 100-continue"
        wire.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        assert answer.readline().startswith(b"HTTP/1.1 100")  # now the body is waited for
        wire.sendall(b"--x\r\n")
        own.process.send_signal(stop_signal())
        rest = answer.read()
    assert b"HTTP/1.1 503" in rest
    assert b'"code":"shutting_down"' in rest
    assert own.process.wait(PATIENCE) == 0
    assert not [line for line in own.log if "ERROR" in line or "Traceback" in line]


def test_workers_end_when_their_server_was_killed(own: RunningServer) -> None:
    with suppress(httpx.HTTPError), streaming(own, endless(ECHO)) as lines:
        family = psutil.Process(own.process.pid).children(recursive=True)
        own.process.kill()
        _ = list(lines)
    assert family
    assert not psutil.wait_procs(family, PATIENCE)[1]


def test_a_signal_right_after_the_start_ends_it_too() -> None:
    running = RunningServer.begin("--echo")  # its app is on its way, or its warm-up
    family = psutil.Process(running.process.pid).children(recursive=True)
    assert running.stop() == 0
    assert not psutil.wait_procs(family, PATIENCE)[1]


# --- waiting -------------------------------------------------------------------------------------------------


def test_a_stream_that_waits_for_its_model_is_kept_alive_with_comments() -> None:
    running = RunningServer.start("--echo", "--no-warm-up", "--heartbeat", "0.01")
    try:
        with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as http:
            messages = [{"role": "user", "content": "hello"}]
            text = http.post(CHAT, json={"model": ECHO, "messages": messages, "stream": True}).text
    finally:
        running.stop()
    lines = [line for line in text.splitlines() if line]
    assert lines[0].startswith((": loading", ": absent", ": warming"))
    assert '"content":"hello"' in text
    assert lines[-1] == "data: [DONE]"


def test_a_failure_after_the_stream_has_begun_is_framed() -> None:
    running = RunningServer.start("--echo", "--no-warm-up", "--heartbeat", "0.001", "--max-memory", "1MB")
    try:
        with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as http:
            response = http.post(CHAT, json={**endless(ECHO), "stream": True})
    finally:
        running.stop()
    # either way the client can read it: as a status, or framed once the stream has been begun
    assert '"code":"insufficient_memory"' in response.text
    assert response.status_code == 507 or response.text.startswith(": ")
