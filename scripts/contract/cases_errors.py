"""Models, headers, and requests that cannot be right."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import SHELL, TOOLS, WEATHER, Group, chat, function, get, named, user
from scripts.contract.case import Ask, Case
from scripts.contract.checks import all_of
from scripts.contract.checks_stream import has_header, streamed, tells

MODELS = Group("models", "models, headers, errors")
HEADERS = Group("headers", "models, headers, errors")
WRONG = Group("wrong values")
BODIES = Group("wrong bodies", "models, headers, errors")
LONG = "apple " * 200_000  # tokens: more than any context


def posted(raw: bytes, **headers: str) -> Ask:
    """A chat of these bytes."""
    return Ask(
        path="/chat/completions", raw=raw, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def refused(name: str, about: str, **fields: Any) -> Case:
    """A chat with a value that cannot be right."""
    return WRONG.wrong(name, chat(**fields), about=about)


def milliseconds(value: str) -> bool:
    """Whether a header is a number that is none too small."""
    return value.replace(".", "", 1).isdigit()


LISTED: tuple[Case, ...] = (
    MODELS.case(
        "models are listed", "the model under test is among them", get("/models"),
        check=tells("data", lambda data: bool(data) and all(one["object"] == "model" for one in data)),
    ),
    MODELS.case("a model is shown", "by its id", get("/models/$model"), check=tells("id", bool)),
    MODELS.wrong(
        "a model that is not there", get("/models/no-such-model"), about="model", status=404, code="model_not_found",
    ),
    MODELS.wrong(
        "a chat with a model that is not there", chat(model="no-such-model"), about="model", status=404,
        code="model_not_found",
    ),
    MODELS.wrong(
        "a completion with a model that is not there",
        Ask(path="/completions", body={"model": "no-such-model", "prompt": "a"}), about="model", status=404,
        code="model_not_found",
    ),
    MODELS.wrong(
        "a chat without a model", Ask(path="/chat/completions", body={"messages": user("Hi")}, named=False),
        about="model",
    ),
    MODELS.wrong("a model of another type", chat(model=5), about="model"),
    HEADERS.case("x-request-id", "each answer has one", chat(), check=has_header("x-request-id", bool)),
    HEADERS.case(
        "openai-processing-ms", "how long it took", chat(), check=has_header("openai-processing-ms", milliseconds),
    ),
    HEADERS.case(
        "x-request-id × stream", "a stream has one too", chat(stream=True),
        check=all_of(streamed, has_header("x-request-id", bool)),
    ),
    HEADERS.case(
        "content-type", "JSON", chat(),
        check=has_header("content-type", lambda kind: kind.startswith("application/json")),
    ),
)  # fmt: skip

REFUSED: tuple[Case, ...] = (
    refused("temperature above 2", "temperature", temperature=2.1),
    refused("temperature below 0", "temperature", temperature=-0.1),
    refused("temperature as a text", "temperature", temperature="hot"),
    refused("top_p above 1", "top_p", top_p=1.5),
    refused("n of 0", "n", n=0),
    refused("n below 0", "n", n=-1),
    refused("n as a text", "n", n="2"),
    refused("n beyond all limits", "n", n=100_000),
    refused("max_completion_tokens of 0", "max_completion_tokens", max_tokens=..., max_completion_tokens=0),
    refused("max_tokens below 0", "max_tokens", max_tokens=-5),
    refused("max_tokens with a fraction", "max_tokens", max_tokens=2.5),
    refused("presence_penalty above 2", "presence_penalty", presence_penalty=2.5),
    refused("frequency_penalty below -2", "frequency_penalty", frequency_penalty=-3),
    refused("seed as a text", "seed", seed="seven"),
    refused("logit_bias above 100", "logit_bias", logit_bias={"5": 101}),
    refused("logit_bias of a word", "logit_bias", logit_bias={"Paris": 1}),
    refused("logit_bias as a list", "logit_bias", logit_bias=[1]),
    refused("top_logprobs without logprobs", "top_logprobs logprobs", top_logprobs=2),
    refused("top_logprobs of 21", "top_logprobs", logprobs=True, top_logprobs=21),
    refused("logprobs as a number", "logprobs", logprobs=3),
    refused("stop of five", "stop", stop=["a", "b", "c", "d", "e"]),
    refused("stop as a number", "stop", stop=5),
    refused("stream as a text", "stream", stream="yes"),
    refused("stream_options without stream", "stream_options", stream_options={"include_usage": True}),
    refused("stream_options of an unknown name", "stream_options", stream=True, stream_options={"usage": True}),
    refused("reasoning_effort of an unknown word", "reasoning_effort", reasoning_effort="extreme"),
    refused("verbosity of an unknown word", "verbosity", verbosity="chatty"),
    refused("service_tier of an unknown word", "service_tier", service_tier="golden"),
    refused("metadata of 17 labels", "metadata", metadata={f"label{number}": "a" for number in range(17)}),
    refused("metadata with a number", "metadata", metadata={"a": 1}),
    refused("metadata with a long text", "metadata", metadata={"a": "b" * 513}),
    refused("tools as an object", "tools", tools=WEATHER),
    refused("a tool of an unknown type", "tools", tools=[{"type": "magic"}]),
    refused("a tool without a function", "tools", tools=[{"type": "function"}]),
    refused("a tool with a name that is none", "tools", tools=[function("get weather!", "a")]),
    refused("two tools of one name", "tools", tools=[WEATHER, WEATHER]),
    refused("129 tools", "tools", tools=[function(f"tool{number}", "a") for number in range(129)]),
    refused("tool_choice of an unknown word", "tool_choice", tools=TOOLS, tool_choice="maybe"),
    refused("tool_choice without tools", "tool_choice", tool_choice="required"),
    refused("tool_choice of a tool that is not there", "tool_choice", tools=TOOLS, tool_choice=named("get_rich")),
    refused("parallel_tool_calls as a text", "parallel_tool_calls", tools=TOOLS, parallel_tool_calls="no"),
    refused(
        "a custom tool with an unknown format", "tools",
        tools=[{**SHELL, "custom": {"name": "shell", "format": {"type": "xml"}}}],
    ),
    WRONG.wrong("an unknown field", chat(temprature=1), about="temprature"),
    WRONG.wrong("no messages", chat([]), about="messages"),
    WRONG.wrong("messages left out", Ask(path="/chat/completions", body={}), about="messages"),
    WRONG.wrong("messages as a text", Ask(path="/chat/completions", body={"messages": "Hi"}), about="messages"),
    WRONG.wrong("a message of an unknown role", chat([{"role": "wizard", "content": "Hi"}]), about="messages"),
    WRONG.wrong("a message without content", chat([{"role": "user"}]), about="messages"),
    WRONG.wrong("a message with a number", chat([{"role": "user", "content": 5}]), about="messages"),
    WRONG.wrong(
        "a part of an unknown type", chat([{"role": "user", "content": [{"type": "smell"}]}]), about="messages",
    ),
    WRONG.wrong("a result of no call", chat([{"role": "tool", "content": "21"}]), about="messages"),
    WRONG.wrong("messages beyond the context", chat(LONG), about="messages", code="context_length_exceeded"),
    WRONG.wrong(
        "messages beyond the context × stream", chat(LONG, stream=True), about="messages",
        code="context_length_exceeded",
    ),
    BODIES.wrong("a body that is no JSON", posted(b'{"model": '), code="invalid_json"),
    BODIES.wrong("a body of nothing", posted(b"")),
    BODIES.wrong("a body that is a list", posted(b"[]")),
    BODIES.wrong("a body that is no UTF-8", posted(b'{"model": "\xff"}')),
    BODIES.wrong("a path that is not there", get("/no/such/path"), status=404),
    BODIES.wrong("a method that a path does not take", Ask(method="PUT", path="/chat/completions"), status=405),
)  # fmt: skip
