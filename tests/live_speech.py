"""Spoken sentences as a live client sends them, and what it hears back."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import av
import openai
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeTranscriptionSessionCreateResponse

from tests.front_door import AUDIO, PATIENCE, WHISPER, RunningServer
from tests.published import conforms, left_over

RATE = 24_000
SENTENCES = {"timer": "Set a timer for ten minutes.", "kitchen-light": "Turn on the kitchen light."}
TIMER, LIGHT = SENTENCES
BUFFER, ITEM = "input_audio_buffer", "conversation.item"
DELTA, COMPLETED = f"{ITEM}.input_audio_transcription.delta", f"{ITEM}.input_audio_transcription.completed"
FAILED = f"{ITEM}.input_audio_transcription.failed"


@cache
def encoded(name: str, codec: str = "pcm_s16le", rate: int = RATE) -> bytes:
    """A sentence as bare samples in this codec, mono, half a second of silence before and after."""
    target = io.BytesIO()
    with av.open(str(AUDIO / f"{name}.wav")) as source, av.open(target, "w", format="wav") as sink:
        stream = sink.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))
    return target.getvalue().partition(b"data")[2][4:]


def silence(seconds: float) -> bytes:
    """Nothing to be heard, as PCM."""
    return bytes(2 * int(seconds * RATE))


def pieces(data: bytes, size: int = 9_600) -> Iterator[str]:
    """Sound in base64, 0.2 s of PCM at a time."""
    return (base64.b64encode(data[at : at + size]).decode() for at in range(0, len(data), size))


class Line:
    """A session of the official client. Every event that comes is checked against the package's types, and kept."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.wire = connection
        self.heard: list[Any] = []

    async def send(self, *data: bytes) -> None:
        """Sound, faster than anybody speaks."""
        for piece in pieces(b"".join(data)):
            await self.wire.input_audio_buffer.append(audio=piece)

    async def update(self, **given: Any) -> Any:
        """Change the session's audio input, and what it answers."""
        session: Any = {"type": "transcription", "audio": {"input": given}}
        await self.wire.session.update(session=session)
        return await self.until("session.updated", "error")

    async def until(self, *kinds: str) -> Any:
        """The next event of one of these types."""
        async with asyncio.timeout(PATIENCE):
            while True:
                data = await self.wire.recv_bytes()
                event = self.wire.parse_event(data)
                check(event, json.loads(data))
                self.heard.append(event)
                if event.type in kinds:
                    return event

    async def transcripts(self, count: int) -> list[str]:
        """What was said in that many turns."""
        return [(await self.until(COMPLETED)).transcript for _ in range(count)]

    def types(self) -> list[str]:
        """The types of all events up to now."""
        return [event.type for event in self.heard]

    def told(self, item: str) -> str:
        """All deltas of an item."""
        return "".join(event.delta for event in self.heard if event.type == DELTA and event.item_id == item)


def check(event: Any, body: dict[str, Any]) -> None:
    """Whether an event has all that its type promises, and nothing else."""
    if not event.type.startswith("session."):
        assert not list(left_over(type(event).model_validate(body)))
        return
    sound = body["session"]["audio"]["input"]["format"]
    sound.update({"rate": 24_000} if "rate" in sound else {})  # other rates are ours
    assert not list(left_over(RealtimeTranscriptionSessionCreateResponse.model_validate(body["session"])))
    conforms(body["session"], "RealtimeTranscriptionSessionCreateResponseGA")


@asynccontextmanager
async def calling(
    server: RunningServer, model: str | None = WHISPER, key: str = "none", **query: str
) -> AsyncGenerator[Line]:
    """A session, already greeted."""
    asked = query if model is None else {"model": model, **query}
    async with (
        openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=PATIENCE) as client,
        client.realtime.connect(extra_query=asked) as connection,
    ):
        line = Line(connection)
        await line.until("session.created")
        yield line
