"""What shows that a text was said in the form that was asked for."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence

from scripts.contract.case import Check, Reply
from scripts.contract.checks import shown

# How files of each format begin.
BEGINNINGS = {
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xfa", b"\xff\xf2"),
    "opus": (b"OggS",),
    "aac": (b"\xff\xf1", b"\xff\xf9"),
    "flac": (b"fLaC",),
    "wav": (b"RIFF",),
}
SHORTEST = 1000  # bytes: less holds no word


def is_a(form: str) -> Check:
    """The last answer is a sound file of this format; of pcm there is nothing to tell but its length."""

    def check(replies: Sequence[Reply]) -> str:
        sound = replies[-1].sound
        if len(sound) < SHORTEST:
            return f"{len(sound)} bytes came"
        beginnings = BEGINNINGS.get(form, (b"",))
        return "" if sound.startswith(beginnings) else f"it begins with {sound[:4]!r}"

    return check


def longer(least: float, most: float) -> Check:
    """The last sound is so many times as long as the first; both are pcm."""

    def check(replies: Sequence[Reply]) -> str:
        first, last = (len(reply.sound) for reply in (replies[0], replies[-1]))
        times = last / max(first, 1)
        return "" if least <= times <= most else f"it is {times:.2f} times as long"

    return check


def said_in_events(replies: Sequence[Reply]) -> str:
    """A stream of sound in base64 and an end with the usage."""
    if not replies[-1].events:
        return "no stream came"
    *deltas, done = replies[-1].events
    if done.get("type") != "speech.audio.done" or "usage" not in done:
        return f"the last event is {shown(done)}"
    odd = next((one["type"] for one in deltas if one["type"] != "speech.audio.delta"), None)
    if odd is not None:
        return f"there is an event {odd}"
    size = sum(len(b64decode(one["audio"], validate=True)) for one in deltas)
    return "" if size >= SHORTEST else f"{size} bytes came"
