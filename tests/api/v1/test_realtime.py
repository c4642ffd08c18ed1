"""WS /v1/realtime: sentences that the demo model knows, spoken to it live by the official client."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.front_door import ECHO, PATIENCE, WHISPER, RunningServer, stop_signal, until
from tests.live_speech import BUFFER, COMPLETED, FAILED, ITEM, LIGHT, SENTENCES, TIMER, Line, calling, encoded, silence

ROOT = Path(__file__).resolve().parents[3]
PAUSE = silence(0.5)  # beside the half seconds of the sentences themselves
UTTERED = [
    f"{BUFFER}.speech_started",
    f"{BUFFER}.speech_stopped",
    f"{BUFFER}.committed",
    f"{ITEM}.added",
    f"{ITEM}.done",
]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def leases(server: RunningServer) -> int:
    found: int = server.health()["models"][WHISPER]["leases"]
    return found


# --- turns -------------------------------------------------------------------------------------------------------


def test_each_sentence_is_a_turn_of_its_own(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.send(encoded(LIGHT), PAUSE, encoded(TIMER), PAUSE)
            assert await line.transcripts(2) == [SENTENCES[LIGHT], SENTENCES[TIMER]]
            items = [event.item_id for event in line.heard if event.type == COMPLETED]
            for item in items:
                assert [event.type for event in line.heard if item in _items(event)][:5] == UTTERED
                assert line.told(item) == next(e.transcript for e in line.heard if _is(e, COMPLETED, item))
            committed = [event for event in line.heard if event.type == UTTERED[2]]
            assert [(event.previous_item_id, event.item_id) for event in committed] == [(None, items[0]), tuple(items)]

    run(work())


def _items(event: Any) -> tuple[str | None, ...]:
    return getattr(event, "item_id", None), getattr(getattr(event, "item", None), "id", None)


def _is(event: Any, kind: str, item: str) -> bool:
    return bool(event.type == kind and event.item_id == item)


def test_turns_are_told_with_their_times_in_the_session(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.send(silence(2), encoded(LIGHT), PAUSE)
            done = await line.until(COMPLETED)
            at = {event.type: event for event in line.heard}
            started, stopped = at[UTTERED[0]].audio_start_ms, at[UTTERED[1]].audio_end_ms
            assert started == pytest.approx(2500 - 300, abs=150)  # with what is kept before speech
            assert done.usage.seconds == pytest.approx((stopped - started) / 1000, abs=0.1)

    run(work())


def test_a_client_may_say_itself_where_a_turn_ends(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.update(turn_detection=None)
            await line.send(encoded(LIGHT), PAUSE, encoded(TIMER))
            await line.wire.input_audio_buffer.commit()
            assert await line.transcripts(1) == [f"{SENTENCES[LIGHT]} {SENTENCES[TIMER]}"]
            assert set(line.types()) & set(UTTERED) == set(UTTERED[2:])

    run(work())


def test_a_commit_ends_a_turn_early(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.update(turn_detection={"type": "server_vad", "silence_duration_ms": 5_000})
            await line.send(encoded(LIGHT))
            await line.wire.input_audio_buffer.commit()
            assert await line.transcripts(1) == [SENTENCES[LIGHT]]

    run(work())


def test_what_is_cleared_is_not_written_down(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.update(turn_detection=None)
            await line.send(encoded(LIGHT))
            await line.wire.input_audio_buffer.clear()
            await line.until(f"{BUFFER}.cleared")
            await line.send(encoded(TIMER))
            await line.wire.input_audio_buffer.commit()
            assert await line.transcripts(1) == [SENTENCES[TIMER]]

    run(work())


def test_silence_is_an_empty_turn_and_nothing_is_none(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.update(turn_detection=None)
            await line.send(silence(1))
            await line.wire.input_audio_buffer.commit()
            assert await line.transcripts(1) == [""]
            await line.wire.input_audio_buffer.commit(event_id="mine")
            error = (await line.until("error")).error
            assert (error.code, error.event_id) == ("input_audio_buffer_commit_empty", "mine")

    run(work())


@pytest.mark.parametrize(
    ("form", "codec", "rate"),
    [
        ({"type": "audio/pcmu"}, "pcm_mulaw", 8_000),
        ({"type": "audio/pcma"}, "pcm_alaw", 8_000),
        ({"type": "audio/pcm", "rate": 16_000}, "pcm_s16le", 16_000),
        ({"type": "audio/pcm", "rate": 44_100}, "pcm_s16le", 44_100),
    ],
    ids=str,
)
def test_formats(server: RunningServer, form: dict[str, Any], codec: str, rate: int) -> None:
    async def work() -> None:
        async with calling(server) as line:
            updated = await line.update(format=form, turn_detection=None)
            assert updated.session.audio.input.format.model_dump(exclude_none=True) == form
            await line.send(encoded(TIMER, codec, rate))
            await line.wire.input_audio_buffer.commit()
            assert await line.transcripts(1) == [SENTENCES[TIMER]]

    run(work())


def test_sessions_share_a_model(server: RunningServer) -> None:
    async def one(name: str) -> None:
        async with calling(server) as line:
            await line.send(encoded(name), PAUSE)
            assert await line.transcripts(1) == [SENTENCES[name]]

    async def work() -> None:
        await asyncio.gather(one(LIGHT), one(TIMER), one(LIGHT))

    run(work())


def test_the_model_may_be_named_in_the_session(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server, model=None, intent="transcription") as line:
            await line.send(silence(0.1))
            assert (await line.until("error")).error.param == "session.audio.input.transcription.model"
            await line.update(transcription={"model": WHISPER, "language": "French"})
            await line.send(encoded("bonjour"), PAUSE)
            assert await line.transcripts(1) == ["Bonjour le monde."]
            refused = await line.update(transcription={"model": "other"})
            assert refused.error.param == "session.audio.input.transcription.model"

    run(work())


def test_the_shape_of_the_beta_is_understood(server: RunningServer) -> None:
    async def work() -> None:
        async with wire(server, "?intent=transcription") as socket:
            await _recv(socket)
            session = {"input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": WHISPER}}
            await socket.send(json.dumps({"type": "transcription_session.update", "session": session}))
            updated = await _recv(socket)
            assert updated["type"] == "transcription_session.updated"
            assert updated["session"].items() >= session.items()

    run(work())


def test_the_guides_program_says_what_the_guide_says(
    server: RunningServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "docs" / "guides" / "realtime.md").read_text(encoding="utf-8")
    program, output = re.findall(r"^```\w*\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)[1:3]
    monkeypatch.chdir(ROOT)
    exec(program.replace("http://127.0.0.1:8080/v1", server.base_url), {})
    assert capsys.readouterr().out == output


# --- what goes wrong ---------------------------------------------------------------------------------------------


def wire(server: RunningServer, query: str = f"?model={WHISPER}") -> connect:
    """A bare socket: for what the official client would not send."""
    return connect(f"{server.base_url.replace('http', 'ws', 1)}/realtime{query}", max_size=None)


async def _recv(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        event: dict[str, Any] = json.loads(await socket.recv())
        return event


def _message(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "mine", **fields})


@pytest.mark.parametrize(
    ("message", "param", "event_id"),
    [
        ("{", None, None),
        ("[1]", None, None),
        (b"\x00\x01", None, None),
        ("{}", "type", None),
        ('{"type": ["x"]}', "type", None),
        (_message("nonsense"), "type", "mine"),
        (_message("response.create"), "type", "mine"),
        (_message("conversation.item.create", item={}), "type", "mine"),
        (_message(f"{BUFFER}.append"), "audio", "mine"),
        (_message(f"{BUFFER}.append", audio="***"), "audio", "mine"),
        (_message(f"{BUFFER}.append", audio=1), "audio", "mine"),
        (_message(f"{BUFFER}.commit", extra=1), "extra", "mine"),
        (_message("session.update"), "session", "mine"),
        (_message("session.update", session={"type": "realtime"}), "session.type", "mine"),
        (json.dumps({"type": "session.update", "event_id": 7, "session": {}}), "event_id", None),
    ],
)
def test_what_cannot_be_understood_is_told_and_the_session_goes_on(
    server: RunningServer, message: str | bytes, param: str | None, event_id: str | None
) -> None:
    async def work() -> None:
        async with wire(server) as socket:
            await _recv(socket)
            await socket.send(message)
            event = await _recv(socket)
            assert event["type"] == "error"
            assert (event["error"]["param"], event["error"]["event_id"]) == (param, event_id)
            await socket.send(_message("session.update", session={"type": "transcription"}))
            assert (await _recv(socket))["type"] == "session.updated"

    run(work())


def test_a_huge_message_ends_the_session(server: RunningServer) -> None:
    async def work() -> None:
        async with wire(server) as socket:
            await _recv(socket)
            await socket.send("x" * (22 * 1024 * 1024))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await _recv(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

    run(work())


def test_sound_may_come_in_one_large_piece(server: RunningServer) -> None:
    async def work() -> None:
        sound = base64.b64encode(silence(100) + encoded(LIGHT) + silence(100)).decode()
        async with calling(server) as line:
            await line.wire.input_audio_buffer.append(audio=sound)
            assert await line.transcripts(1) == [SENTENCES[LIGHT]]

    run(work())


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        (f"?model={ECHO}", "model", "model_not_capable"),
        ("?model=nobody", "model", "model_not_found"),
        ("?intent=conversation", "intent", "unsupported_parameter"),
        ("?call_id=1", "call_id", "unsupported_parameter"),
    ],
)
def test_an_address_that_asks_for_what_is_not_here_is_told_so(
    server: RunningServer, query: str, param: str, code: str
) -> None:
    async def work() -> None:
        async with wire(server, query) as socket:
            error = (await _recv(socket))["error"]
            assert (error["param"], error["code"]) == (param, code)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await _recv(socket)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, code)

    run(work())


def test_a_language_that_the_model_does_not_know_is_refused_when_sound_comes(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.update(transcription={"language": "de"})
            await line.send(silence(0.1))
            assert (await line.until("error")).error.param == "language"

    run(work())


def test_a_model_of_an_update_that_is_not_here_is_named_where_it_stands(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            error = (await line.update(transcription={"model": "nobody"})).error
            assert (error.param, error.code) == ("session.audio.input.transcription.model", "model_not_found")

    run(work())


def test_a_client_that_leaves_in_the_middle_gives_its_place_back(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.send(encoded(LIGHT)[: 2 * 24_000])
            await line.until(UTTERED[0])
            assert leases(server) == 1

    run(work())
    until(lambda: leases(server) == 0)


def test_a_worker_that_dies_costs_what_was_being_said_and_no_more(server: RunningServer) -> None:
    async def work() -> None:
        async with calling(server) as line:
            await line.send(encoded(LIGHT)[: 2 * 24_000])
            await line.until(UTTERED[0])
            psutil.Process(server.health()["models"][WHISPER]["pid"]).kill()
            assert (await line.until("error", FAILED)).error.code == "worker_died"
            await line.send(encoded(TIMER), PAUSE)
            assert await line.transcripts(1) == [SENTENCES[TIMER]]

    run(work())


def test_a_quiet_client_gives_its_place_back_and_a_server_that_ends_writes_down_what_was_said() -> None:
    async def say(line: Line, sound: bytes) -> None:
        """In one piece: between two, a busy machine may take longer than the client may be quiet."""
        await line.wire.input_audio_buffer.append(audio=base64.b64encode(sound).decode())

    async def work(server: RunningServer) -> None:
        async with calling(server) as line:
            for name in (LIGHT, TIMER):
                await say(line, encoded(name)[: -2 * 12_000])  # without the silence that would end the turn
                assert await line.transcripts(1) == [SENTENCES[name]]
                await asyncio.to_thread(until, lambda: leases(server) == 0)
            starts = [event.audio_start_ms for event in line.heard if event.type == UTTERED[0]]
            assert starts[1] == pytest.approx(len(encoded(LIGHT)) / 48 - 500 + 500 - 300, abs=150)
            await say(line, encoded(LIGHT)[: -2 * 12_000])
            await line.until(UTTERED[0])
            server.process.send_signal(stop_signal())
            assert await line.transcripts(1) == [SENTENCES[LIGHT]]
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await line.until("nothing")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001

    server = RunningServer.start("--no-warm-up", "--realtime-idle", "0.3", "--shutdown-grace", "20")
    try:
        run(work(server))
    finally:
        assert server.stop() == 0
