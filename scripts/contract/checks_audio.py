"""What shows that speech was written down in the form that was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from scripts.contract.case import Check, Reply
from scripts.contract.checks import shown

CUE = re.compile(r"(?:(\d\d):)?(\d\d):(\d\d)([.,])(\d{3}) --> (?:(\d\d):)?(\d\d):(\d\d)[.,](\d{3})")
SLACK = 0.05  # seconds that a time may lie beyond the recording's end: Whisper counts in steps of 0.02


def text_of(reply: Reply) -> str:
    """A transcript, whatever its form."""
    if reply.events:
        return str(reply.events[-1]["text"])
    return reply.body if isinstance(reply.body, str) else str(reply.body["text"])


def hears(*words: str) -> Check:
    """All these words are in the last transcript, whatever their case."""

    def check(replies: Sequence[Reply]) -> str:
        text = text_of(replies[-1])
        missing = [word for word in words if word.casefold() not in text.casefold()]
        return f"'{missing[0]}' is not in: {shown(text)}" if missing else ""

    return check


def same_text(replies: Sequence[Reply]) -> str:
    """Every transcript is the first one."""
    first = text_of(replies[0]).strip()
    other = next((text for reply in replies if (text := text_of(reply).strip()) != first), None)
    return "" if other is None else f"{shown(first)} became {shown(other)}"


def silent(replies: Sequence[Reply]) -> str:
    """The last transcript is empty."""
    text = text_of(replies[-1]).strip()
    return f"it heard {shown(text)}" if text else ""


def other_text(replies: Sequence[Reply]) -> str:
    """The last transcript is another one than the first."""
    first, last = text_of(replies[0]).strip(), text_of(replies[-1]).strip()
    return "" if first != last else "the transcript is the same without it"


def body(look: Callable[[Mapping[str, Any]], str]) -> Check:
    """A check of the last answer's object."""
    return lambda replies: look(replies[-1].body)


@body
def measured(answer: Mapping[str, Any]) -> str:
    """It says how long the recording is, or how many tokens it took."""
    usage = answer.get("usage") or {}
    return "" if usage.get("seconds", 0) > 0 or usage.get("total_tokens", 0) > 0 else f"usage is {shown(usage)}"


def in_order(times: Sequence[tuple[float, float]], duration: float) -> str:
    """Stretches that begin before they end, one after the other, inside of the recording."""
    if not times:
        return "there are no times"
    if any(start < 0 or end <= start or end > duration + SLACK for start, end in times):
        return f"times that cannot be: {shown(times)}"
    return "" if all(one[0] <= other[0] for one, other in pairwise(times)) else f"not in order: {shown(times)}"


@body
def segmented(answer: Mapping[str, Any]) -> str:
    """Segments with times, which together are the text."""
    segments = answer.get("segments") or []
    together = "".join(one["text"] for one in segments).split()
    if together != answer["text"].split():
        return f"the segments are {shown(together)}"
    return in_order([(one["start"], one["end"]) for one in segments], answer["duration"])


@body
def worded(answer: Mapping[str, Any]) -> str:
    """Words with times, which together are the text."""
    words = answer.get("words") or []
    together = "".join(one["word"].strip() for one in words)
    if together != "".join(answer["text"].split()):
        return f"the words are {shown(together)}"
    return in_order([(one["start"], one["end"]) for one in words], answer["duration"])


def without(name: str) -> Check:
    """The last answer has no such field, or nothing in it."""
    return body(lambda answer: f"there is '{name}'" if answer.get(name) else "")


def language(name: str) -> Check:
    """The language as verbose_json has it: an English name. Whisper's own code for it would be no name."""
    return body(lambda answer: "" if answer["language"].casefold() == name else f"language is {answer['language']}")


@body
def logprobs(answer: Mapping[str, Any]) -> str:
    """A log probability for each token, which together are the text."""
    tokens = answer.get("logprobs") or []
    if any(one["logprob"] > 0 for one in tokens):
        return f"a log probability above 0: {shown(tokens)}"
    together = "".join(one["token"] for one in tokens)
    return "" if tokens and together.strip() == answer["text"].strip() else f"the tokens are {shown(together)}"


def subtitles(*, point: str) -> Check:
    """A file of cues in order; ``point`` stands before the milliseconds: a comma in srt, a point in vtt."""

    def check(replies: Sequence[Reply]) -> str:
        text = str(replies[-1].body)
        found = [match.groups() for match in CUE.finditer(text)]
        if any(one[3] != point for one in found):
            return f"no '{point}' before the milliseconds: {shown(text)}"
        times = [(_seconds(*one[0:3], one[4]), _seconds(*one[5:9])) for one in found]
        if point == "." and not text.startswith("WEBVTT"):
            return f"it does not begin with WEBVTT: {shown(text)}"
        return in_order(times, duration=float("inf"))

    return check


def _seconds(*clock: str | None) -> float:
    """Hours (or none), minutes, seconds and milliseconds."""
    hours, minutes, seconds, milliseconds = (int(one or 0) for one in clock)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def heard_in_events(replies: Sequence[Reply]) -> str:
    """A stream of deltas, which together are the text of the event that ends it."""
    if not replies[-1].events:
        return "no stream came"
    *deltas, done = replies[-1].events
    if done.get("type") != "transcript.text.done":
        return f"the last event is {done.get('type')}"
    odd = next((one["type"] for one in deltas if one["type"] != "transcript.text.delta"), None)
    if odd is not None:
        return f"there is an event {odd}"
    together = "".join(one["delta"] for one in deltas)
    return "" if together == done["text"] else f"the deltas are {shown(together)}"


def logprobs_in_events(replies: Sequence[Reply]) -> str:
    """The log probabilities of the deltas are those of the end."""
    *deltas, done = replies[-1].events
    told = [one for event in deltas for one in event.get("logprobs") or ()]
    return "" if told and told == done.get("logprobs") else "the end has other log probabilities than the deltas"
