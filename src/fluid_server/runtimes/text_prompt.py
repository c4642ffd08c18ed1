"""A request becomes a prompt: template, tools, reasoning, the gap to fill; and what its answer must look like."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from fluid_server.content.dialects import DIALECTS, Dialect, Reader, recognise
from fluid_server.content.raw_call import RawCall
from fluid_server.content.template import ChatTemplate
from fluid_server.errors import ContextTooLong, EngineFailed, InvalidRequest, UnsupportedField
from fluid_server.shapes import AnyText, Choice, Const, Grammar, JSONSchema, Regex, Shape, Tag
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import GenerateRequest, Message, ModelSpec, Tool, ToolUse

LONGEST_TOKEN = 64  # characters; tokens are 3 to 5 on average, so a longer prompt cannot fit and is not encoded
SWITCHES = ("enable_thinking", "thinking")  # the variables by which templates turn reasoning on and off
EFFORTS = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}  # for templates that read reasoning_effort
OFF = ("none", "minimal")
CUSTOM_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
# What surrounds the parts of a text with a gap, by family: before the prefix, before the suffix, before the middle.
GAPS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM-4
)
NO_MARK = "<|no_model_has_this_mark|>"


class Encode(Protocol):
    """A tokenizer's one direction."""

    def __call__(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What goes into the engine, and how to read what comes out.

    ``thinking``: the prompt has opened the reasoning. ``raw``: the answer is a tool's input and nothing else.
    ``json``: its text is JSON, unless something cuts it.
    """

    ids: list[int]
    read: Callable[[], Reader]
    stops: tuple[str, ...] = ()
    shape: Shape | None = None
    marks: frozenset[str] = frozenset()
    thinking: bool = False
    raw: bool = False
    json: bool = False


class PromptWriter:
    """One model's way from requests to prompts. ``dialect`` None: recognised from the chat template.

    Errors: EngineFailed where the template does not compile or the dialect is not known.
    """

    def __init__(self, spec: ModelSpec, encode: Encode, *, dialect: str | None = None) -> None:
        if dialect is not None and dialect not in DIALECTS:
            raise EngineFailed(f"There is no dialect '{dialect}'. Known are: {', '.join(sorted(DIALECTS))}.")
        self._template = ChatTemplate(spec.chat_template, spec.special_tokens)
        self._encode = encode
        self.dialect: Dialect = DIALECTS[dialect] if dialect is not None else recognise(spec.chat_template)

    def write(self, request: GenerateRequest, context: int | None) -> Prompt:
        """The prompt of a request. Errors: InvalidRequest naming the field."""
        if request.messages is not None:
            return self._chat(request, request.messages, context)
        plain = DIALECTS["plain"]
        prompt = Prompt(
            ids=self._raw(request, context),
            read=lambda: plain.reader(None, thinking=False),
            stops=request.stop,
            shape=request.shape,
            json=isinstance(request.shape, JSONSchema),
        )
        if not prompt.ids:
            raise InvalidRequest("The prompt is empty: send at least one token.", param="prompt")
        return prompt

    # --- texts -------------------------------------------------------------------------------------------

    def _raw(self, request: GenerateRequest, context: int | None) -> list[int]:
        if request.tokens is not None:
            return list(request.tokens)
        text = request.text or ""
        check_length(len(text) + len(request.suffix or ""), context, "prompt")
        if not request.suffix:
            return self._encode(text, special=True)
        before, behind, middle = self._gap_marks
        return [
            *before,
            *self._encode(text, special=False),
            *behind,
            *self._encode(request.suffix, special=False),
            *middle,
        ]

    @cached_property
    def _gap_marks(self) -> tuple[list[int], list[int], list[int]]:
        words = len(self._encode(NO_MARK, special=False)) == 1  # then any word is a token, as with echo
        for family in () if words else GAPS:
            first, second, third = (self._encode(mark, special=False) for mark in family)
            if len(first) == len(second) == len(third) == 1:
                return first, second, third
        raise UnsupportedField(
            "'suffix' is not supported by this model: its vocabulary has no tokens for filling in the middle.",
            param="suffix",
        )

    # --- chats -------------------------------------------------------------------------------------------

    def _chat(self, request: GenerateRequest, messages: Sequence[Message], context: int | None) -> Prompt:
        check_length(sum(len(message.content) for message in messages), context, "messages")
        use = request.tool_use
        switches = self._switches(request)
        text = self._template.render(
            messages,
            tools=self._tools(use),
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=request.continue_final_message,
            **{**switches, **request.template_kwargs},
        )
        ids = self._encode(text, special=False)
        if not ids:
            raise InvalidRequest("The prompt is empty: send at least one token.", param="messages")
        thinking = self._has_opened(text, messages[-1].content if request.continue_final_message else text)
        raw = only_grammar(use)
        reads = use if use is not None and use.allowed else None
        return Prompt(
            ids=ids,
            read=lambda: RawCall(raw.name) if raw else self.dialect.reader(reads, thinking=thinking),
            raw=raw is not None,
            json=isinstance(request.shape, JSONSchema) and reads is None,
            stops=(*request.stop, *self._template.stops),
            shape=self._shape(request, thinking=thinking, switches={**switches, **request.template_kwargs}),
            marks=self.dialect.marks,
            thinking=thinking,
        )

    def _tools(self, use: ToolUse | None) -> list[dict[str, Any]] | None:
        if use is None or use.mode == "none" or not use.tools:
            return None
        if not self.dialect.calls_tools or "tools" not in self._template.variables:
            raise UnsupportedField(
                "'tools' are not supported by this model: its chat template knows no way to call them.", param="tools"
            )
        return [described(tool) for tool in use.tools]

    def _has_opened(self, text: str, last: str) -> bool:
        """Whether the model finds itself in the middle of its reasoning: the prompt ends with its opening."""
        opening, closing = self.dialect.opening, self.dialect.closing
        if not opening:
            return False
        if last is not text:
            return last.rfind(opening) > last.rfind(closing)
        return text.rstrip().endswith(opening)

    # --- reasoning ---------------------------------------------------------------------------------------

    def _switches(self, request: GenerateRequest) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        if request.effort is not None:
            chosen |= self._effort(request.effort)
        if request.verbosity is not None:
            if "verbosity" in self._template.variables:
                chosen["verbosity"] = request.verbosity
            elif request.verbosity != "medium":
                raise UnsupportedField(
                    "'verbosity' is not supported by this model: its chat template has no such switch.",
                    param="verbosity",
                )
        return chosen

    def _effort(self, effort: str) -> dict[str, Any]:
        if "reasoning_effort" in self._template.variables:
            return {"reasoning_effort": EFFORTS.get(effort, effort)}
        for switch in SWITCHES:
            if switch in self._template.variables:
                return {switch: effort not in OFF}
        if effort == "none" and not self.dialect.opening:
            return {}
        raise UnsupportedField(
            "'reasoning_effort' is not supported by this model: its chat template has no such switch.",
            param="reasoning_effort",
        )

    @cached_property
    def _thinks_by_default(self) -> bool:
        """Whether the template says nothing where its switch is on, and something where it is off."""
        hello = [Message(role="user", content="Hello")]
        for switch in SWITCHES:
            if switch in self._template.variables:
                off: dict[str, Any] = {switch: False}
                return self._template.render(hello) != self._template.render(hello, **off)
        return False

    # --- what the answer must look like ------------------------------------------------------------------

    def _shape(self, request: GenerateRequest, *, thinking: bool, switches: Mapping[str, Any]) -> Shape | None:
        if (raw := only_grammar(request.tool_use)) is not None:
            return raw.input
        shape = self._answer_shape(request)
        if shape is None or not self.dialect.opening:
            return shape
        gap = Regex(r"\n{0,2}")
        if thinking:
            return InOrder((Tag("", AnyText(), self.dialect.closing), gap, shape))
        wished = next((bool(switches[name]) for name in SWITCHES if name in switches), None)
        if wished or (wished is None and self._thinks_by_default):
            thought = InOrder((Tag(self.dialect.opening, AnyText(), self.dialect.closing), gap))
            return InOrder((Choice((thought, Const(""))), shape))
        return shape

    def _answer_shape(self, request: GenerateRequest) -> Shape | None:
        use = request.tool_use
        wished = self.dialect.answer(request.shape) if request.shape is not None else None
        if use is None or use.mode == "none" or not use.tools:
            return wished
        if use.mode == "required" or wished is None:
            return self._calls(use)
        calls = self._calls(replace(use, mode="required"))
        return Choice((calls, wished)) if calls is not None else wished

    def _calls(self, use: ToolUse) -> Shape | None:
        shape = self.dialect.shape(use)
        if shape is None and use.mode == "required":
            raise UnsupportedField(
                "'tool_choice' cannot be enforced for this model: its way to call tools is not known.",
                param="tool_choice",
            )
        return shape


def only_grammar(use: ToolUse | None) -> Tool | None:
    """The custom tool with a context-free grammar that must be called, where there is no other choice."""
    if use is None or use.mode != "required" or len(use.allowed) != 1:
        return None
    (tool,) = use.allowed
    return tool if isinstance(tool.input, Grammar) else None


def described(tool: Tool) -> dict[str, Any]:
    """A tool as chat templates expect it. A custom tool is a function with one text."""
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    function["parameters"] = CUSTOM_INPUT if tool.custom else dict(tool.parameters or {"type": "object"})
    return {"type": "function", "function": json.loads(json.dumps(function))}


def check_length(characters: int, context: int | None, param: str) -> None:
    """Encoding takes a second a megabyte, in which all others stand still: not for what cannot fit anyway."""
    if context is not None and characters > context * LONGEST_TOKEN:
        raise ContextTooLong(
            f"This model's context holds {context} tokens, and the {param} have {characters} characters. Shorten them.",
            param=param,
        )
