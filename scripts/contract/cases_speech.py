"""Speech that is made: its form, its pace, and what cannot be said."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import Group, get
from scripts.contract.case import SPEAK, Ask, Case
from scripts.contract.checks_speech import is_a, longer, said_in_events
from scripts.contract.checks_stream import tells

SPEECH = Group("speech", "audio")
WRONG = Group("wrong speech", "audio")
OURS = Group("beyond OpenAI's contract: speech that is made", "beyond OpenAI's contract", ours=True)
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


def say(text: Any = "Hello world.", **fields: Any) -> Ask:
    """A text to be said; a field that is ``...`` is left out."""
    body = {"input": text, "voice": "alloy", **fields}
    return Ask(path=SPEAK, body={name: value for name, value in body.items() if value is not ...})


def refused(name: str, about: str, **fields: Any) -> Case:
    """Speech with a value that cannot be right."""
    return WRONG.wrong(name, say(**fields), about=about)


SAID: tuple[Case, ...] = (
    SPEECH.case("speech", "it is mp3 unless told", say(), check=is_a("mp3"), about="input"),
    *(
        SPEECH.case(
            f"response_format of {form} × speech", f"it is {form}", say(response_format=form), check=is_a(form),
            about="response_format",
        )
        for form in FORMATS
    ),
    SPEECH.case(
        "voice of another name × speech", "it is had", say(voice="onyx"), check=is_a("mp3"), about="voice",
    ),
    SPEECH.case(
        "voice as an object × speech", "it is had or refused", say(voice={"id": "alloy"}), check=is_a("mp3"),
        about="voice",
    ),
    SPEECH.case(
        "speed of 0.5 × speech", "it takes about twice as long", say(response_format="pcm"),
        say(response_format="pcm", speed=0.5), check=longer(1.5, 2.5), about="speed",
    ),
    SPEECH.case(
        "speed of 4 × speech", "it takes a quarter of the time", say(response_format="pcm"),
        say(response_format="pcm", speed=4), check=longer(0.1, 0.5), about="speed",
    ),
    SPEECH.case(
        "instructions × speech", "they are followed or refused", say(instructions="Whisper."), check=is_a("mp3"),
        about="instructions",
    ),
    SPEECH.case(
        "stream_format of audio × speech", "the file comes", say(stream_format="audio", response_format="wav"),
        check=is_a("wav"), about="stream_format",
    ),
    SPEECH.case(
        "stream_format of sse × speech", "its parts come as events", say(stream_format="sse"), check=said_in_events,
        about="stream_format",
    ),
    SPEECH.case(
        "several sentences × speech", "all of them are said", say(response_format="pcm"),
        say("Hello world. " * 3, response_format="pcm"), check=longer(2, 5), about="input",
    ),
    refused("speech without input", "input", text=...),
    refused("speech of an empty input", "input", text=""),
    refused("speech of more than 4096 characters", "input", text="a" * 4097),
    refused("input of a number × speech", "input", text=5),
    refused("voice that is none × speech", "voice", voice="nobody-at-all"),
    refused("voice of an empty name × speech", "voice", voice=""),
    refused("response_format that is none × speech", "response_format", response_format="midi"),
    refused("speed below 0.25 × speech", "speed", speed=0.1),
    refused("speed above 4 × speech", "speed", speed=5),
    refused("stream_format that is none × speech", "stream_format", stream_format="smoke"),
    refused("an unknown field × speech", "spead", spead=1),
    WRONG.wrong("speech of a model that is not there", say(model="no-such-model"), about="model", status=404),
)  # fmt: skip

SAID_EXTRAS: tuple[Case, ...] = (
    OURS.case(
        "language × speech", "it is taken", say(language="en"), check=is_a("mp3"), about="language",
    ),
    OURS.case("keep_alive × speech", "it is taken", say(keep_alive="5m"), check=is_a("mp3"), about="keep_alive"),
    OURS.case(
        "stream × speech", "as other servers have it, it asks for nothing", say(stream=True), check=is_a("mp3"),
        about="stream",
    ),
    OURS.case(
        "voices are listed", "with their names", get("/audio/voices"),
        check=tells("data", lambda data: all(one["id"] and one["name"] for one in data)),
    ),
)  # fmt: skip
