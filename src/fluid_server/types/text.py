"""Text: what can be asked of a language model, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fluid_server.shapes import Shape
from fluid_server.types.models import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message, its text parts joined; ``fields`` are the further keys a chat template may read."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that the model may call.

    A function takes JSON that ``parameters`` describes (any object, where they are None); ``strict`` has the grammar
    enforce it. A custom tool takes one text, of the form ``input`` where that is not None.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False
    custom: bool = False
    input: Shape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """What the model may call, and whether it must.

    ``mode`` is none, auto or required. ``names``: only these of the tools (a named function is required with one
    name); None is all. ``parallel`` False: at most one call an answer.
    """

    tools: tuple[Tool, ...]
    mode: str = "auto"
    names: tuple[str, ...] | None = None
    parallel: bool = True

    @property
    def allowed(self) -> tuple[Tool, ...]:
        """The tools that may be called in this answer."""
        if self.mode == "none":
            return ()
        return tuple(tool for tool in self.tools if self.names is None or tool.name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """Text to be generated. Exactly one of ``messages``, ``text`` and ``tokens`` is the prompt.

    ``max_tokens`` None means: until the model ends or its context is full. ``shape`` is what the answer must look
    like. ``logprobs``: None for none, else how many alternatives to each token are wanted besides it (0 to 20).
    ``suffix`` is what follows the gap that the model fills after ``text``. ``effort`` is OpenAI's reasoning_effort,
    ``verbosity`` its namesake; each goes to the chat template's own switch.
    """

    messages: tuple[Message, ...] | None = None
    text: str | None = None
    tokens: tuple[int, ...] | None = None
    suffix: str | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    ignore_eos: bool = False
    tool_use: ToolUse | None = None
    shape: Shape | None = None
    logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    effort: str | None = None
    verbosity: str | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """A question to a model's tokenizer: the ids of a prompt, or the text of ``ids``.

    ``prompt`` is a request whose prompt would be sent as it stands here, tools and template included; nothing is
    generated. ``special`` and ``pieces``: with what the tokenizer puts around plain text, and each token's text.
    The answer is one Tokenized, then Done.
    """

    prompt: GenerateRequest | None = None
    ids: tuple[int, ...] | None = None
    special: bool = True
    pieces: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and its natural-log probability; ``text`` is what it adds, ``data`` its bytes where known.

    ``top`` are the likeliest tokens at its place, itself not necessarily among them, the likeliest first.
    """

    token: int
    text: str
    logprob: float
    data: bytes = b""
    top: tuple[TokenLogprob, ...] = ()


class TextPiece(NamedTuple):
    """A piece of one choice's text, complete UTF-8, free of stop strings.

    Each token makes one in the worker and one in the server: a frozen dataclass takes four times as long to make.
    """

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """A piece of what one choice thinks before it answers."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call: the first of each ``index`` has ``id`` and ``name``, all have more of the arguments.

    ``index`` counts the calls of one choice. Of a function the arguments are JSON, of a custom tool its input.
    """

    choice: int
    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceEnd:
    """One choice has ended; ``reason`` is OpenAI's finish_reason."""

    choice: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The answer to a TokenizeRequest; ``pieces`` are the texts of the single tokens."""

    ids: tuple[int, ...]
    pieces: tuple[str, ...] = ()
    text: str = ""
    context_length: int | None = None
