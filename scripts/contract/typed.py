"""Answers held against OpenAI's own types (the `openai` package, strictly) and published schemas, where at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from openai import types
from openai.types import audio, chat
from openai.types.conversations import (
    Conversation,
    ConversationDeletedResource,
    ConversationItem,
    ConversationItemList,
)
from openai.types.responses import InputTokenCountResponse, Response, ResponseItemList, ResponseStreamEvent
from openai.types.shared.error_object import ErrorObject
from pydantic import BaseModel, TypeAdapter, ValidationError

from scripts.contract.case import EMBED, SPEAK, Ask, Reply
from scripts.contract.checks_embeddings import numbers

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an endpoint answers with. ``path`` is a regular expression; ``listed``: a page of such objects.

    ``schema`` and ``event_schema`` are names in the published description; empty where it has none. ``format`` is the
    ``response_format`` of a form about speech, where the answer depends on it.
    """

    method: str
    path: str
    type: Any
    schema: str = ""
    event: Any = None
    event_schema: str = ""
    listed: bool = False
    format: str = "json"


ONE_CHAT = r"/chat/completions/[^/]+"
ONE_TALK = r"/conversations/[^/]+"
RESPONSE_EVENTS: dict[str, Any] = {"event": ResponseStreamEvent, "event_schema": "ResponseStreamEvent"}
SPEECH_EVENTS: dict[str, Any] = {
    "event": audio.TranscriptionStreamEvent,
    "event_schema": "CreateTranscriptionResponseStreamEvent",
}
SPEECH: tuple[tuple[str, str, Any, str, dict[str, Any]], ...] = (
    ("transcriptions", "json", audio.Transcription, "CreateTranscriptionResponseJson", SPEECH_EVENTS),
    ("transcriptions", "verbose_json", audio.TranscriptionVerbose, "CreateTranscriptionResponseVerboseJson", {}),
    (
        "transcriptions",
        "diarized_json",
        audio.TranscriptionDiarized,
        "CreateTranscriptionResponseDiarizedJson",
        SPEECH_EVENTS,
    ),
    ("translations", "json", audio.Translation, "CreateTranslationResponseJson", {}),
    ("translations", "verbose_json", audio.TranslationVerbose, "CreateTranslationResponseVerboseJson", {}),
)
KINDS = (
    *(
        Kind(method="POST", path=f"/audio/{path}", format=form, type=type_, schema=schema, **events)
        for path, form, type_, schema, events in SPEECH
    ),
    # The package has no type for events of speech.
    Kind(method="POST", path=SPEAK, type=None, event=dict[str, Any], event_schema="CreateSpeechResponseStreamEvent"),
    Kind(
        method="POST",
        path=r"/chat/completions",
        type=chat.ChatCompletion,
        schema="CreateChatCompletionResponse",
        event=chat.ChatCompletionChunk,
        event_schema="CreateChatCompletionStreamResponse",
    ),
    Kind(
        method="POST",
        path=r"/completions",
        type=types.Completion,
        schema="CreateCompletionResponse",
        event=types.Completion,
        event_schema="CreateCompletionResponse",
    ),
    Kind(method="POST", path=EMBED, type=types.CreateEmbeddingResponse, schema="CreateEmbeddingResponse"),
    Kind(method="GET", path=r"/chat/completions", type=chat.ChatCompletion, schema="ChatCompletionList", listed=True),
    Kind(method="GET", path=ONE_CHAT, type=chat.ChatCompletion, schema="CreateChatCompletionResponse"),
    Kind(method="POST", path=ONE_CHAT, type=chat.ChatCompletion, schema="CreateChatCompletionResponse"),
    Kind(method="DELETE", path=ONE_CHAT, type=chat.ChatCompletionDeleted, schema="ChatCompletionDeleted"),
    Kind(
        method="GET",
        path=f"{ONE_CHAT}/messages",
        type=chat.ChatCompletionStoreMessage,
        schema="ChatCompletionMessageList",
        listed=True,
    ),
    Kind(method="POST", path=r"/conversations", type=Conversation, schema="ConversationResource"),
    Kind(method="GET", path=ONE_TALK, type=Conversation, schema="ConversationResource"),
    Kind(method="POST", path=ONE_TALK, type=Conversation, schema="ConversationResource"),
    Kind(method="DELETE", path=ONE_TALK, type=ConversationDeletedResource, schema="DeletedConversationResource"),
    Kind(method="POST", path=f"{ONE_TALK}/items", type=ConversationItemList, schema="ConversationItemList"),
    Kind(method="GET", path=f"{ONE_TALK}/items", type=ConversationItemList, schema="ConversationItemList"),
    Kind(method="GET", path=f"{ONE_TALK}/items/[^/]+", type=ConversationItem, schema="ConversationItem"),
    Kind(method="DELETE", path=f"{ONE_TALK}/items/[^/]+", type=Conversation, schema="ConversationResource"),
    Kind(method="POST", path=r"/responses/input_tokens", type=InputTokenCountResponse, schema="TokenCountsResource"),
    Kind(method="POST", path=r"/responses", type=Response, schema="Response", **RESPONSE_EVENTS),
    Kind(method="GET", path=r"/responses/[^/]+", type=Response, schema="Response", **RESPONSE_EVENTS),
    Kind(method="POST", path=r"/responses/[^/]+/cancel", type=Response, schema="Response"),
    Kind(method="GET", path=r"/responses/[^/]+/input_items", type=ResponseItemList, schema="ResponseItemList"),
    Kind(method="GET", path=r"/models", type=types.Model, schema="ListModelsResponse", listed=True),
    Kind(method="GET", path=r"/models/[^?]+", type=types.Model, schema="Model"),
)


def kind_of(ask: Ask) -> Kind | None:
    """What answers to a request must be; None where OpenAI has no such endpoint."""
    path = ask.path.partition("?")[0]
    return next((kind for kind in KINDS if _is(kind, ask) and re.fullmatch(kind.path, path)), None)


def _is(kind: Kind, ask: Ask) -> bool:
    return (kind.method, kind.format) == (ask.method, ask.format)


@dataclass(frozen=True, slots=True)
class Findings:
    """``malformed``: something is of another type than the official client's. ``extras``: fields that it has not.

    ``invalid``: fields are missing from it, or the published schema says otherwise.
    """

    malformed: str = ""
    invalid: tuple[str, ...] = ()
    extras: frozenset[str] = frozenset()


class Published:
    """OpenAI's API description."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def problem(self, value: Any, name: str) -> str:
        """Where a value is not what the schema of this name says; empty where it is."""
        found = best_match(self._validator(name).iter_errors(value))
        return f"{found.json_path}: {found.message[:MOST_SHOWN]}" if found else ""

    @cached_property
    def _components(self) -> Mapping[str, Any]:
        document = json.loads(self._file.read_text(encoding="utf-8"), object_hook=_with_null)
        components: Mapping[str, Any] = document["components"]
        return components

    @cache  # noqa: B019 (there is one for the whole run)
    def _validator(self, name: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": self._components})


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if schema.get("nullable") is not True:
        return schema
    return {"anyOf": [{name: value for name, value in schema.items() if name != "nullable"}, {"type": "null"}]}


def look_at(ask: Ask, reply: Reply, published: Published | None) -> Findings:
    """What is to be said of an answer's form."""
    if not reply.success:
        return _refusal(reply, published)
    kind = kind_of(ask)
    if kind is None or (reply.sound and not ask.stream):
        return Findings()
    if kind.type is None and not ask.stream:
        return Findings("no sound came")
    if ask.stream:
        return _stream(kind, reply, published)
    parts = reply.body.get("data") if kind.listed and isinstance(reply.body, dict) else [reply.body]
    if not isinstance(parts, list):
        return Findings("the page has no list 'data'")
    whole = reply.body
    if kind.type is chat.ChatCompletionStoreMessage:
        parts = [_as_assistant(message) for message in parts]
        whole = {**whole, "data": parts}
    if kind.type is types.CreateEmbeddingResponse:
        whole = _unpacked(whole)
        parts = [whole]
    found = _parsed(kind.type, parts)
    problem = published.problem(whole, kind.schema) if published and kind.schema else ""
    return Findings(found.malformed, (*found.invalid, problem) if problem else found.invalid, found.extras)


def _unpacked(answer: Any) -> Any:
    """Embeddings in base64 as numbers: the official client unpacks them before it shows them."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        return answer
    return {**answer, "data": [{**one, "embedding": _numbers(one.get("embedding"))} for one in data]}


def _numbers(embedding: Any) -> Any:
    try:
        return numbers(embedding)
    except ValueError:
        return embedding


def _as_assistant(message: Any) -> Any:
    """A stored message is described as an answer; what was asked is none, and has another role."""
    return {**message, "role": "assistant"} if isinstance(message, dict) else message


def _refusal(reply: Reply, published: Published | None) -> Findings:
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    problem = published.problem(error, "Error") if published else ""
    return Findings(invalid=(problem,) if problem else ())


def _stream(kind: Kind, reply: Reply, published: Published | None) -> Findings:
    if kind.event is None:
        return Findings("events came where an object must")
    events = [_mended(event, kind) for event in reply.events]
    found = _parsed(kind.event, events)
    if published is None or not kind.event_schema:
        return found
    problems = {published.problem(event, kind.event_schema) for event in events} - {""}
    return Findings(found.malformed, (*found.invalid, *sorted(problems)), found.extras)


def _mended(event: Any, kind: Kind) -> Any:
    """An event without what OpenAI's own streams hold, and OpenAI's types and schemas have forgotten.

    Chunks of a completion are described as whole completions: their null finish_reason, and the null usage before the
    last, are not. A custom tool's call is known in a whole answer only.
    """
    if not isinstance(event, dict) or not isinstance(event.get("choices"), list):
        return event
    mended = {**event, "choices": [_mended_choice(choice) for choice in event["choices"]]}
    if kind.event is types.Completion and mended.get("usage", ...) is None:
        del mended["usage"]
    return mended


def _mended_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    if "text" in choice:
        return {**choice, "finish_reason": choice.get("finish_reason") or "stop"}
    delta = choice.get("delta")
    if not isinstance(delta, dict) or not isinstance(delta.get("tool_calls"), list):
        return choice
    return {**choice, "delta": {**delta, "tool_calls": [_as_function(call) for call in delta["tool_calls"]]}}


def _as_function(call: Any) -> Any:
    if not isinstance(call, dict) or not isinstance(custom := call.get("custom"), dict):
        return call
    inside = {"arguments" if name == "input" else name: value for name, value in custom.items()}
    kind = {"type": "function"} if "type" in call else {}
    return {**{name: value for name, value in call.items() if name != "custom"}, **kind, "function": inside}


def _parsed(kind: Any, parts: Any) -> Findings:
    extras: set[str] = set()
    missing: list[str] = []
    for part in parts:
        try:
            extras.update(_left_over(_adapter(_member(kind, part)).validate_python(part, strict=True), ""))
        except ValidationError as error:
            problems = _telling(error.errors(include_url=False))
            wrong = next((one for one in problems if one["type"] != "missing"), None)
            if wrong is not None:
                return Findings(_told(wrong))
            missing += [_told(one) for one in problems]
    return Findings("", tuple(dict.fromkeys(missing)), frozenset(extras))


def _telling(problems: Sequence[Any]) -> Sequence[Any]:
    """Without those of members of a union that the value does not claim to be; all, where it claims to be none."""
    others = [one["loc"][:-1] for one in problems if one["type"] == "literal_error" and one["loc"][-1] == "type"]
    told = [one for one in problems if not any(one["loc"][: len(other)] == other for other in others)]
    return told or problems


def _member(kind: Any, part: Any) -> Any:
    """Of a union of events the one of this type: the others' complaints would hide its own."""
    if kind is not ResponseStreamEvent or not isinstance(part, dict):
        return kind
    return _events().get(part.get("type", ""), kind)


@cache
def _events() -> Mapping[str, Any]:
    members = get_args(get_args(ResponseStreamEvent)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


def _told(problem: Any) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    return f"{place or 'it'}: {problem['msg']}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _left_over(value: Any, place: str) -> Iterator[str]:
    """Fields that the package has no place for, as ``choices[].message.reasoning``."""
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}".lstrip(".") for name in value.model_extra or {})
        for name in value.model_fields_set & value.__class__.model_fields.keys():
            yield from _left_over(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _left_over(one, f"{place}[]")


def error_of(reply: Reply) -> ErrorObject | None:
    """A refusal in OpenAI's shape with a code that is a text; None where it is in another."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    try:
        return ErrorObject.model_validate(error, strict=True) if _whole(error) else None
    except ValidationError:
        return None


def _whole(error: Any) -> bool:
    return isinstance(error, dict) and isinstance(error.get("code"), str) and "param" in error
