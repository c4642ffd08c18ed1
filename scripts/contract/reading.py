"""Answers as checks read them: streamed or whole, a chat and a completion are the same choices with a usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.contract.case import Reply


@dataclass(slots=True)
class Call:
    """One tool call. ``arguments`` is JSON for a function, free text for a custom tool."""

    id: str = ""
    kind: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Choice:
    """One answer. ``tokens`` are the entries of its log probabilities; None where it has none."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    tokens: list[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices in the order of their indexes, and the usage where it was told."""

    choices: tuple[Choice, ...]
    usage: Mapping[str, Any] | None

    @property
    def texts(self) -> list[str]:
        """The text of each choice."""
        return [choice.text for choice in self.choices]

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text if self.choices else ""

    def used(self, name: str) -> int:
        """A count of the usage, such as ``completion_tokens`` or ``completion_tokens_details.reasoning_tokens``."""
        found: Any = self.usage
        for step in name.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found if isinstance(found, int) else -1


def response_of(reply: Reply) -> Mapping[str, Any] | None:
    """The object of the Responses API that a reply is, or that its stream has told of last; None of another API."""
    told = [event["response"] for event in reply.events if isinstance(event.get("response"), dict)]
    whole = told[-1] if told else reply.body
    found: Mapping[str, Any] | None = whole if isinstance(whole, dict) and whole.get("object") == "response" else None
    return found


def answer_of(reply: Reply) -> Answer:
    """A reply's choices and usage. A response is one choice, its usage told in the words of chats."""
    if response := response_of(reply):
        return _answered(response)
    parts = reply.events if reply.events else (reply.body,)
    choices: dict[int, Choice] = {}
    usage = None
    for part in parts:
        usage = part.get("usage") or usage
        for one in part.get("choices") or ():
            _take(choices.setdefault(one.get("index", 0), Choice()), one)
    return Answer(tuple(choices[index] for index in sorted(choices)), usage)


def _take(choice: Choice, part: Mapping[str, Any]) -> None:
    said = part.get("message") or part.get("delta") or part
    choice.text += said.get("content") or said.get("text") or ""
    choice.reasoning += said.get("reasoning_content") or said.get("reasoning") or ""
    choice.finish = part.get("finish_reason") or choice.finish
    for number, call in enumerate(said.get("tool_calls") or ()):
        _take_call(choice.calls, call, call.get("index", number))
    if part.get("logprobs"):
        choice.tokens = [*(choice.tokens or ()), *_tokens(part["logprobs"])]


def _take_call(calls: list[Call], part: Mapping[str, Any], index: int) -> None:
    while len(calls) <= index:
        calls.append(Call())
    call = calls[index]
    inside = part.get("function") or part.get("custom") or {}
    call.id = part.get("id") or call.id
    call.kind = part.get("type") or call.kind
    call.name = inside.get("name") or call.name
    call.arguments += inside.get("arguments") or inside.get("input") or ""


def _answered(response: Mapping[str, Any]) -> Answer:
    choice = Choice(finish=_end(response))
    for item in response.get("output") or ():
        _take_item(choice, item)
    usage = response.get("usage")
    return Answer((choice,), None if usage is None else _counts(usage))


def _end(response: Mapping[str, Any]) -> str | None:
    limited = (response.get("incomplete_details") or {}).get("reason") == "max_output_tokens"
    return "stop" if response.get("status") == "completed" else "length" if limited else None


def _take_item(choice: Choice, item: Mapping[str, Any]) -> None:
    kind = item.get("type")
    if kind in ("function_call", "custom_tool_call"):
        arguments = item.get("arguments") if kind == "function_call" else item.get("input")
        call = Call(item.get("call_id", ""), kind.removesuffix("_call").removesuffix("_tool"), item.get("name", ""))
        call.arguments = arguments or ""
        choice.calls.append(call)
    for part in item.get("content") or ():
        if part.get("type") == "output_text":
            choice.text += part.get("text", "")
            choice.tokens = [*(choice.tokens or ()), *(part.get("logprobs") or ())] or None
        elif part.get("type") == "reasoning_text":
            choice.reasoning += part.get("text", "")
    for part in item.get("summary") or ():
        choice.reasoning += part.get("text", "")


def _counts(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": {
            "reasoning_tokens": (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
        },
    }


def _tokens(logprobs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A chat's entries as they are; a completion's four lists as such entries."""
    if "content" in logprobs:
        return list(logprobs["content"] or ())
    texts = logprobs.get("tokens") or ()
    values, tops = logprobs.get("token_logprobs") or (), logprobs.get("top_logprobs") or [None] * len(texts)
    offsets = logprobs.get("text_offset") or [None] * len(texts)
    return [
        {"token": text, "logprob": value, "top_logprobs": _ranked(top), "offset": offset}
        for text, value, top, offset in zip(texts, values, tops, offsets, strict=False)
    ]


def _ranked(top: Mapping[str, float] | None) -> list[Mapping[str, Any]]:
    return [{"token": text, "logprob": value} for text, value in (top or {}).items()]
