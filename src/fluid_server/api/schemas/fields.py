"""Every field of OpenAI's contract and what becomes of it: honoured, accepted without effect, or refused by name.

A field that is in none of the three lists is unknown and refused too, so nothing is ever silently ignored.
Tests hold these lists against the request types of the `openai` package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from fluid_server.errors import InvalidRequest, UnsupportedField

SHOWN = 80  # characters of a name that a client made up


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a field is refused, and the values of it that ask for nothing and therefore pass."""

    reason: str
    harmless: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """One endpoint's fields. ``accepted`` maps a field to why having no effect is right."""

    honoured: frozenset[str]
    accepted: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)

    def check(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The honoured fields of a body. Errors: UnsupportedField, InvalidRequest, each naming the field."""
        kept: dict[str, Any] = {}
        for name, value in body.items():
            if name in self.honoured:
                kept[name] = value
            elif name in self.refused:
                self._refuse(name, value)
            elif name not in self.accepted:
                shown = name[:SHOWN]
                raise InvalidRequest(self._unknown(shown), param=shown, code="unknown_parameter")
        return kept

    def _refuse(self, name: str, value: Any) -> None:
        refusal = self.refused[name]
        if value is not None and value not in refusal.harmless:
            raise UnsupportedField(
                f"'{name}' is not supported by this server: {refusal.reason}. Leave it out.", param=name
            )

    def _unknown(self, name: str) -> str:
        known = [*self.honoured, *self.accepted, *self.refused]
        close = get_close_matches(name, known, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        return f"Unknown parameter: '{name}'.{hint}"


SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
    }
)
GENERATING = SAMPLING | {
    "model",
    "stop",
    "stream",
    "stream_options",
    "max_tokens",
    "n",
    "ignore_eos",
    "keep_alive",
    "user",
}
NO_TOOLS = "tool calls are not built yet"
NO_LOGPROBS = "log probabilities are not built yet"

CHAT = Contract(
    honoured=GENERATING | {"messages", "max_completion_tokens", "chat_template_kwargs", "safety_identifier"},
    accepted={
        "metadata": "it labels stored answers, and nothing is stored",
        "parallel_tool_calls": "there are no tool calls to run in parallel",
        "prompt_cache_key": "all prompts of a model share its prefix cache, where its runtime has one",
        "prompt_cache_options": "all prompts of a model share its prefix cache, where its runtime has one",
        "prompt_cache_retention": "the prefix cache lives as long as the model is loaded",
    },
    refused={
        "audio": Refusal("models here answer in text"),
        "function_call": Refusal(NO_TOOLS, ("none", "auto")),
        "functions": Refusal(NO_TOOLS, ([],)),
        "logit_bias": Refusal("it is not built yet", ({},)),
        "logprobs": Refusal(NO_LOGPROBS, (False,)),
        "modalities": Refusal("models here answer in text", (["text"],)),
        "moderation": Refusal("there is no moderation model"),
        "prediction": Refusal("predicted outputs are not built yet"),
        "reasoning_effort": Refusal("it is not built yet; use chat_template_kwargs for your model's own switch"),
        "response_format": Refusal("constrained answers are not built yet", ({"type": "text"},)),
        "service_tier": Refusal("there is one tier", ("auto", "default")),
        "store": Refusal("answers are not stored", (False,)),
        "tool_choice": Refusal(NO_TOOLS, ("none", "auto")),
        "tools": Refusal(NO_TOOLS, ([],)),
        "top_logprobs": Refusal(NO_LOGPROBS, (0,)),
        "verbosity": Refusal("models here have no such switch", ("medium",)),
        "web_search_options": Refusal("there is no web search"),
    },
)

COMPLETION = Contract(
    honoured=GENERATING | {"prompt", "echo"},
    refused={
        "best_of": Refusal("it is not built yet", (1,)),
        "logit_bias": Refusal("it is not built yet", ({},)),
        "logprobs": Refusal(NO_LOGPROBS),
        "suffix": Refusal("filling in the middle is not built yet", ("",)),
    },
)

TRANSCRIPTION = Contract(
    honoured=frozenset({"file", "model", "language", "prompt", "temperature", "response_format", "keep_alive"}),
    refused={
        "chunking_strategy": Refusal("files are always cut by the model's own 30 s windows", ("auto",)),
        "include": Refusal("log probabilities of speech are not built yet", ([],)),
        "keywords": Refusal("they are not built yet; use 'prompt'", ([],)),
        "known_speaker_names": Refusal("speakers are not told apart", ([],)),
        "known_speaker_references": Refusal("speakers are not told apart", ([],)),
        "languages": Refusal("a file is transcribed in one language; use 'language'", ([],)),
        "stream": Refusal("streamed transcripts are not built yet", (False, "false", "False", "0")),
        "timestamp_granularities": Refusal("timestamps are not built yet", ([],)),
    },
)
