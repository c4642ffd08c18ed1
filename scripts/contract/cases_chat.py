"""Chat completions: messages, limits, stop strings, n and streams."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import CAPITAL, STORY, Group, Messages, chat, red_picture, silence, told, user, with_result
from scripts.contract.case import Case
from scripts.contract.checks import (
    all_of,
    answered,
    changed,
    chose,
    counted,
    cut_at,
    each_choice,
    ended,
    same,
    says,
    says_not,
    times_first,
    upper,
)
from scripts.contract.checks_stream import streamed, unpadded, usage_absent, usage_last, usage_null

USAGE = {"include_usage": True}
MESSAGES = Group("messages")
LIMITS = Group("limits")
STOPS = Group("stop")
CHOICES = Group("n")
STREAMS = Group("stream")


def parts(*content: dict[str, Any]) -> Messages:
    """One question in several parts."""
    return [{"role": "user", "content": list(content)}]


def text(said: str) -> dict[str, Any]:
    """A part."""
    return {"type": "text", "text": said}


ABOUT_PICTURE = "What color is this?"
MEMORY = [
    *user("Hi, my name is Tina."),
    {"role": "assistant", "content": "Nice to meet you, Tina!"},
    *user("What is my name?"),
]
REFUSED = [
    *user("Tell me a secret."),
    {"role": "assistant", "content": None, "refusal": "I cannot do that."},
    *user(CAPITAL),
]
SOUND = {"type": "input_audio", "input_audio": {"data": silence(), "format": "wav"}}
FILE = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,VGhlIHdvcmQgaXMgWkVCUkEu"}}
PICTURE = {"type": "image_url", "image_url": {"url": red_picture()}}
NAMED = [{"role": "user", "name": "ann", "content": CAPITAL}]

CHAT: tuple[Case, ...] = (
    MESSAGES.case(
        "a question is answered", "an answer with an end and a usage", chat(), check=all_of(answered, ended("stop")),
    ),
    MESSAGES.case(
        "a system message is followed", "instructions reach the model",
        chat(), chat(told("system", "Answer in uppercase.")), check=all_of(changed, upper), able=True, about="messages",
    ),
    MESSAGES.case(
        "a developer message is followed", "the newer name of the role reaches the model",
        chat(), chat(told("developer", "Answer in uppercase.")), check=all_of(changed, upper), able=True,
        about="messages",
    ),
    MESSAGES.case(
        "earlier turns are remembered", "all turns reach the model", chat(MEMORY), check=says("Tina"), able=True,
    ),
    MESSAGES.case(
        "content in parts is one text", "parts are joined as they are",
        chat(), chat(parts(text("What is the capital"), text(" of France?"))), check=same, about="messages",
    ),
    MESSAGES.case(
        "a tool's result is answered from", "calls and results reach the model",
        chat(with_result()), check=says("21"), able=True, about="messages",
    ),
    MESSAGES.case("a name is taken", "a participant may have a name", chat(NAMED), check=answered, about="messages"),
    MESSAGES.case(
        "a refusal is taken", "an earlier refusal may be sent back", chat(REFUSED), check=answered, about="messages",
    ),
    MESSAGES.case(
        "a picture is seen", "the picture changes the answer",
        chat(ABOUT_PICTURE), chat(parts(text(ABOUT_PICTURE), PICTURE)), check=all_of(changed, says("red")), able=True,
        about="messages",
    ),
    MESSAGES.case(
        "a sound is heard", "the sound changes the answer",
        chat(), chat(parts(text(CAPITAL), SOUND)), check=changed, about="messages",
    ),
    MESSAGES.case(
        "a file is read", "the file's text is known",
        chat(parts(text("What is the word?"), FILE)), check=says("zebra"), able=True, about="messages",
    ),
    # --- limits
    LIMITS.case(
        "max_tokens is exact", "so many tokens, and finish_reason length", chat(STORY, max_tokens=5), check=counted(5),
        about="max_tokens",
    ),
    LIMITS.case(
        "max_completion_tokens is exact", "so many tokens, and finish_reason length",
        chat(STORY, max_tokens=..., max_completion_tokens=5), check=counted(5), about="max_completion_tokens",
    ),
    LIMITS.case(
        "max_completion_tokens of one", "the smallest limit",
        chat(STORY, max_tokens=..., max_completion_tokens=1), check=counted(1), about="max_completion_tokens",
    ),
    LIMITS.case(
        "max_completion_tokens × max_tokens", "the newer name wins",
        chat(STORY, max_tokens=9, max_completion_tokens=4), check=counted(4), about="max_completion_tokens max_tokens",
    ),
    LIMITS.case(
        "max_completion_tokens beyond the context", "a limit is no demand",
        chat(max_tokens=..., max_completion_tokens=100_000), check=all_of(answered, ended("stop")),
        about="max_completion_tokens",
    ),
    LIMITS.case(
        "max_completion_tokens × n", "each choice has its own limit",
        chat(STORY, max_tokens=..., max_completion_tokens=5, n=2), check=counted(10), about="max_completion_tokens n",
    ),
    LIMITS.case(
        "max_completion_tokens × stream", "a stream is cut alike",
        chat(STORY, max_tokens=..., max_completion_tokens=5, stream=True, stream_options=USAGE),
        check=all_of(streamed, counted(5)), about="max_completion_tokens",
    ),
    # --- stop
    STOPS.case(
        "stop cuts the answer", "what is before the text is left", chat(), chat(stop="France"), check=cut_at("France"),
        about="stop",
    ),
    STOPS.case(
        "stop across tokens", "a text that no token begins or ends with", chat(), chat(stop="pital o"),
        check=cut_at("pital o"), about="stop",
    ),
    STOPS.case(
        "stop of four", "the first of four texts", chat(), chat(stop=["zebra", "ance", "pital", "Lyon"]),
        check=cut_at("ance", "pital"), about="stop",
    ),
    STOPS.case(
        "stop at the beginning", "an answer without text", chat(), chat(stop="The"), check=cut_at("The"), able=True,
        about="stop",
    ),
    STOPS.case(
        "stop that never comes", "nothing is cut", chat(), chat(stop=["zebra", "Frank"]),
        check=all_of(same, ended("stop")), about="stop",
    ),
    STOPS.case(
        "stop of nothing", "null and no texts are no stop", chat(), chat(stop=[]), chat(stop=None), check=same,
        about="stop",
    ),
    STOPS.case(
        "stop × stream", "nothing of the text leaks into a stream",
        chat(), chat(stop="pital o", stream=True), check=all_of(streamed, cut_at("pital o")), about="stop",
    ),
    STOPS.case(
        "stop × n", "each choice is cut", chat(), chat(stop="France", n=2), check=all_of(chose(2), cut_at("France")),
        about="stop n",
    ),
    STOPS.case(
        "stop × n × stream", "each choice of a stream is cut",
        chat(), chat(stop="of F", n=2, stream=True), check=all_of(chose(2), streamed, cut_at("of F")), about="stop n",
    ),
    STOPS.case(
        "stop × max_tokens", "the beginning of a stop text is given at the limit",
        chat(max_tokens=3), chat(max_tokens=3, stop=["France is no"]), check=all_of(same, ended("length")),
        about="stop",
    ),
    # --- n
    CHOICES.case(
        "n gives so many choices", "all are counted", chat(), chat(n=3), check=all_of(chose(3), times_first(3), same),
        about="n",
    ),
    CHOICES.case("n of one", "one choice", chat(), chat(n=1), check=all_of(chose(1), same), about="n"),
    CHOICES.case(
        "n × stream", "each choice is streamed to its end",
        chat(), chat(n=2, stream=True), check=all_of(streamed, chose(2), same), about="n",
    ),
    CHOICES.case(
        "n × stream × usage", "a stream counts all choices",
        chat(), chat(n=2, stream=True, stream_options=USAGE), check=all_of(streamed, usage_last, times_first(2)),
        about="n",
    ),
    # --- stream
    STREAMS.case(
        "stream joins to the whole answer", "the same text in pieces", chat(), chat(stream=True),
        check=all_of(streamed, same), about="stream",
    ),
    STREAMS.case(
        "stream of false", "an object", chat(), chat(stream=False), check=all_of(answered, same), about="stream",
    ),
    STREAMS.case(
        "include_usage", "a last chunk with the usage",
        chat(), chat(stream=True, stream_options=USAGE), check=all_of(streamed, usage_last, times_first(1)),
        about="stream_options",
    ),
    STREAMS.case(
        "include_usage × the other chunks", "their usage is null",
        chat(stream=True, stream_options=USAGE), check=all_of(usage_last, usage_null), about="stream_options",
    ),
    STREAMS.case(
        "include_usage of false", "no chunk with a usage",
        chat(stream=True, stream_options={"include_usage": False}), check=all_of(streamed, usage_absent),
        about="stream_options",
    ),
    STREAMS.case(
        "include_obfuscation of false", "no chunk is padded",
        chat(stream=True, stream_options={"include_obfuscation": False}), check=all_of(streamed, unpadded),
        about="stream_options",
    ),
    STREAMS.case(
        "stream × system message", "a stream follows instructions too",
        chat(told("system", "Answer in uppercase."), stream=True), check=all_of(streamed, upper), able=True,
        about="stream",
    ),
    STREAMS.case(
        "stream × special characters", "characters of several bytes stay whole",
        chat("Repeat after me: Zürich 東京 😀", stream=True),
        check=all_of(streamed, each_choice(lambda one: "" if one.text else "no text"), says_not("\ufffd")),
        about="stream",
    ),
)  # fmt: skip
