"""Speech through the front door: every kind of file is heard alike, and long recordings sentence by sentence.

The clips in fixtures/audio/spoken are by voices that the demo model was trained on and by others
(benchmarks/speech_fixtures.py made them); the whole measurement is benchmarks/speech_formats.py and speech_long.py.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import openai
import pytest
from openai.types.audio import TranscriptionVerbose

from benchmarks.speech_files import FLAC, KINDS, OPUS, WAV, Kind, encoded
from benchmarks.word_errors import aligned
from fluid_server.content.sound import SAMPLE_RATE
from tests.decoded import decode
from tests.front_door import AUDIO, WHISPER, error_of

Samples = npt.NDArray[np.float32]

TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
FOLDER = AUDIO / "spoken"


@dataclass(frozen=True, slots=True)
class Clip:
    """A sentence, and where it is in its file, in seconds."""

    file: str
    text: str
    translation: str
    language: str
    voice: str
    start: float
    end: float

    def samples(self) -> Samples:
        """Of the whole file, silence around the sentence included."""
        return decode(FOLDER / self.file, max_seconds=60).samples

    def sentence(self) -> Samples:
        """Of the sentence alone."""
        return self.samples()[round(self.start * SAMPLE_RATE) : round(self.end * SAMPLE_RATE)]


CLIPS = [Clip(**row) for row in json.loads((FOLDER / "sentences.json").read_text(encoding="utf-8"))]
ENGLISH = [clip for clip in CLIPS if clip.language == "en"]
FRENCH = [clip for clip in CLIPS if clip.language == "fr"]
SAMPLE = next(clip for clip in ENGLISH if "capital" in clip.text)
RATES = (8_000, 16_000, 22_050, 44_100, 48_000)
# Each kind at 8 kHz, the hardest rate, and at another one.
FILES = [
    (kind, rate, 1 + (number + place) % 2)
    for number, kind in enumerate(KINDS)
    for place, rate in enumerate((RATES[0], RATES[1 + number % 4]))
]


def heard(client: openai.OpenAI, data: bytes, suffix: str = "wav", **fields: Any) -> str:
    answer = client.audio.transcriptions.create(model=WHISPER, file=(f"speech.{suffix}", data), **fields)
    return str(answer.text)


def verbose(client: openai.OpenAI, data: bytes, suffix: str = "wav") -> TranscriptionVerbose:
    return client.audio.transcriptions.create(
        model=WHISPER, file=(f"speech.{suffix}", data), response_format="verbose_json"
    )


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@cache
def a_minute() -> tuple[Samples, tuple[float, ...]]:
    """All English clips one after the other with pauses of 1.2 to 5 seconds, and where each begins."""
    parts, starts, at = [silence(0.8)], [], 0.8
    for number, clip in enumerate(ENGLISH):
        sentence, pause = clip.sentence(), 1.2 + 3.8 * (number * 5 % 12) / 12
        starts.append(at)
        parts += [sentence, silence(pause)]
        at += len(sentence) / SAMPLE_RATE + pause
    return np.concatenate(parts), tuple(starts)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.file)
def test_a_clip_is_written_down_as_it_was_said(client: openai.OpenAI, clip: Clip) -> None:
    assert heard(client, (FOLDER / clip.file).read_bytes(), "flac") == clip.text


@pytest.mark.parametrize(("kind", "rate", "channels"), FILES, ids=lambda value: getattr(value, "name", str(value)))
def test_every_kind_of_file_is_heard_as_the_clean_wav_is(
    client: openai.OpenAI, kind: Kind, rate: int, channels: int
) -> None:
    if not kind.can(channels):
        channels = 2
    data = encoded(SAMPLE.samples(), SAMPLE_RATE, kind, channels, file_rate=rate)
    assert heard(client, data, kind.suffix) == SAMPLE.text


@pytest.mark.parametrize("kind", [FLAC, OPUS], ids=lambda kind: kind.name)
def test_in_a_long_recording_each_sentence_is_found_once_in_order_at_its_time(
    client: openai.OpenAI, kind: Kind
) -> None:
    samples, starts = a_minute()
    segments = verbose(client, encoded(samples, SAMPLE_RATE, kind), kind.suffix).segments or []
    assert [segment.text.strip() for segment in segments] == [clip.text for clip in ENGLISH]
    assert [segment.start for segment in segments] == pytest.approx(starts, abs=0.3)


def test_a_recording_in_two_languages_is_told_by_the_first(client: openai.OpenAI) -> None:
    parts = [FRENCH[0].samples(), silence(2), FRENCH[1].samples()]
    answer = verbose(client, encoded(np.concatenate(parts), SAMPLE_RATE, WAV))
    found = aligned([clip.text for clip in FRENCH[:2]], [segment.text for segment in answer.segments or []])
    assert (answer.language, found.lost, found.extra) == ("french", (), ())


@pytest.mark.parametrize("clip", FRENCH, ids=lambda clip: clip.file)
def test_french_is_detected_and_translated(client: openai.OpenAI, http: httpx.Client, clip: Clip) -> None:
    data = (FOLDER / clip.file).read_bytes()
    assert verbose(client, data, "flac").language == "french"
    answer = http.post(TRANSLATIONS, data={"model": WHISPER}, files={"file": ("speech.flac", data)})
    assert answer.json()["text"] == clip.translation


@pytest.mark.parametrize("seconds", [1, 45])
def test_silence_is_an_empty_transcript(client: openai.OpenAI, seconds: float) -> None:
    answer = verbose(client, encoded(silence(seconds), SAMPLE_RATE, FLAC), "flac")
    assert (answer.text, answer.segments) == ("", [])
    assert float(answer.duration) == pytest.approx(seconds, abs=0.01)


def test_a_wav_that_claims_two_gigabytes_is_heard_as_far_as_it_goes(client: openai.OpenAI) -> None:
    data = bytearray(encoded(SAMPLE.samples(), SAMPLE_RATE, WAV))
    place = data.index(b"data") + 4
    data[place : place + 4] = (2**31 - 2).to_bytes(4, "little")
    assert heard(client, bytes(data)) == SAMPLE.text


@pytest.mark.parametrize("kind", [FLAC, OPUS, KINDS[-1]], ids=lambda kind: kind.name)
def test_what_only_begins_like_a_sound_file_is_refused_and_the_server_goes_on(
    client: openai.OpenAI, http: httpx.Client, kind: Kind
) -> None:
    whole = encoded(SAMPLE.samples(), SAMPLE_RATE, kind)
    garbage = whole[:24] + np.random.default_rng(1).bytes(4000)
    file = {"file": (f"speech.{kind.suffix}", io.BytesIO(garbage))}
    error = error_of(http.post(TRANSCRIPTIONS, data={"model": WHISPER}, files=file), 400)
    assert (error["param"], error["code"]) == ("file", "invalid_audio")
    assert heard(client, whole, kind.suffix) == SAMPLE.text
