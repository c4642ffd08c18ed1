"""What the cases ask: prompts that any model answers, tools, schemas, and short ways to write a request."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from functools import cache
from typing import Any

from scripts.contract.case import Ask, Case, Check, Refusal

Messages = list[dict[str, Any]]
LIMIT = 48  # tokens: enough for the sentences that are asked for, and an end for models that find none
CAPITAL = "What is the capital of France?"
STORY = "Tell me a story."
ADDITION = "What is 2 + 3 + 4?"
WEATHER_QUESTION = "What is the weather in Paris?"
AS_JSON = "Give me JSON: Alice is 42 years old and lives in Rome."
PROMPT = "Once upon a time, there was"


def user(text: str) -> Messages:
    """A conversation of one question."""
    return [{"role": "user", "content": text}]


def told(role: str, text: str, question: str = CAPITAL) -> Messages:
    """Instructions, then a question."""
    return [{"role": role, "content": text}, *user(question)]


def _without_gaps(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not ...}


def chat(question: str | Messages = CAPITAL, **fields: Any) -> Ask:
    """A greedy chat; a field that is ``...`` is left out."""
    messages = user(question) if isinstance(question, str) else question
    body = {"messages": messages, "temperature": 0, "max_tokens": LIMIT, **fields}
    return Ask(path="/chat/completions", body=_without_gaps(body))


def complete(prompt: Any = PROMPT, **fields: Any) -> Ask:
    """A greedy completion; a field that is ``...`` is left out."""
    body = {"prompt": prompt, "temperature": 0, "max_tokens": 8, **fields}
    return Ask(path="/completions", body=_without_gaps(body))


def get(path: str, **headers: str) -> Ask:
    """A GET."""
    return Ask(method="GET", path=path, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Group:
    """Cases about the same thing, within one API."""

    def __init__(self, title: str, api: str = "chat completions", *, ours: bool = False) -> None:
        self.title = title
        self._api = api
        self._ours = ours

    def case(
        self, name: str, proves: str, *asks: Ask, about: str = "", check: Check | None = None, able: bool = False
    ) -> Case:
        """A request that is honoured, or refused with one of the fields ``about`` (a list with blanks) named."""
        assert check is not None
        fields = tuple(about.split())
        return Case(
            name=name,
            group=self.title,
            api=self._api,
            proves=proves,
            asks=asks,
            fields=fields,
            check=check,
            able=able,
            ours=self._ours,
        )

    def wrong(
        self, name: str, *asks: Ask, about: str = "", status: int = 400, code: str = "", check: Check | None = None
    ) -> Case:
        """The last request cannot be right: it must be refused, with one of the fields ``about`` named."""
        return Case(
            name=name,
            group=self.title,
            api=self._api,
            proves=f"it is refused with {status}",
            asks=asks,
            fields=tuple(about.split()),
            check=check or (lambda _: ""),
            refusal=Refusal(status=status, code=code),
            ours=self._ours,
        )


# --- tools ---------------------------------------------------------------------------------------------------

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The city."}},
    "required": ["city"],
    "additionalProperties": False,
}
SHELL_INPUT = "ls( -[a-z]{1,3})?"


def function(name: str, description: str, parameters: dict[str, Any] = CITY, **more: Any) -> dict[str, Any]:
    """A function tool."""
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters, **more},
    }


def custom_tool(name: str, **form: Any) -> dict[str, Any]:
    """A custom tool; ``form`` is its format."""
    inside = {"name": name, "description": "Run a command.", **({"format": form} if form else {})}
    return {"type": "custom", "custom": inside}


WEATHER = function("get_weather", "Get the current weather in a city.")
TIME = function("get_time", "Get the current time in a city.")
UNITS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
FORECAST = function("get_weather", "Get the weather forecast of a city.", UNITS, strict=True)
TOOLS = [WEATHER, TIME]
NAMES = ("get_weather", "get_time")
SHELL = custom_tool("shell")


def named(name: str, kind: str = "function") -> dict[str, Any]:
    """``tool_choice`` of one tool."""
    return {"type": kind, kind: {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """``tool_choice`` of some tools."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]}}


def with_result(result: str = "21 degrees, sunny") -> Messages:
    """A conversation whose tool has answered."""
    inside = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    call = {"id": "call_1", "type": "function", "function": inside}
    return [
        *user(WEATHER_QUESTION),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


# --- formats -------------------------------------------------------------------------------------------------


def json_schema(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """``response_format`` of a schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def an_object(**properties: Any) -> dict[str, Any]:
    """The schema of an object with all of these and no other properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PERSON = an_object(
    name={"type": "string", "maxLength": 20}, age={"type": "integer"}, city={"type": "string", "maxLength": 20}
)


# --- media ---------------------------------------------------------------------------------------------------


@cache
def red_picture() -> str:
    """A red square of 32 pixels, as a data URL."""
    side = 32
    rows = (b"\0" + b"\xff\0\0" * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = b"".join(
        _chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def silence() -> str:
    """A tenth of a second of silence as WAV, in base64."""
    samples = b"\0\0" * 1600
    form = struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    body = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b64encode(b"RIFF" + struct.pack("<I", len(body)) + body).decode()
