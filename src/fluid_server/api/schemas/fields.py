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
    "logit_bias",
    "structured_outputs",
    "keep_alive",
    "user",
}
CHAT = Contract(
    honoured=GENERATING
    | {
        "messages",
        "max_completion_tokens",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "verbosity",
        "store",
        "metadata",
        "chat_template_kwargs",
        "add_generation_prompt",
        "continue_final_message",
        "timings",
        "safety_identifier",
    },
    accepted={
        "prediction": "it only makes an answer come sooner where it was predicted well, and never changes it",
        "prompt_cache_key": "all prompts of a model share its prefix cache",
        "prompt_cache_options": "all prompts of a model share its prefix cache",
        "prompt_cache_retention": "the prefix cache lives as long as the model is loaded",
    },
    refused={
        "audio": Refusal("models here answer in text"),
        "function_call": Refusal("it is OpenAI's old form; use 'tool_choice'", ("none", "auto")),
        "functions": Refusal("it is OpenAI's old form; use 'tools'", ([],)),
        "modalities": Refusal("models here answer in text", (["text"],)),
        "moderation": Refusal("there is no moderation model"),
        "service_tier": Refusal("there is one tier", ("auto", "default")),
        "web_search_options": Refusal("there is no web search"),
    },
)

COMPLETION = Contract(honoured=GENERATING | {"prompt", "echo", "logprobs", "best_of", "suffix"})

SPEECH = frozenset({"file", "model", "language", "prompt", "temperature", "response_format", "keep_alive"})
NO_SPEAKERS = Refusal("speakers are not told apart")
TRANSCRIPTION = Contract(
    honoured=SPEECH | {"languages", "keywords", "chunking_strategy", "include", "stream", "timestamp_granularities"},
    refused={"known_speaker_names": NO_SPEAKERS, "known_speaker_references": NO_SPEAKERS},
)
ONLY_TRANSCRIBING = Refusal("translations do not have it, only /v1/audio/transcriptions does")
TRANSLATION = Contract(
    honoured=SPEECH,
    refused={
        "stream": Refusal(ONLY_TRANSCRIBING.reason, ("false", "False", "0")),
        **dict.fromkeys(("languages", "keywords", "chunking_strategy", "include"), ONLY_TRANSCRIBING),
        "timestamp_granularities": Refusal(ONLY_TRANSCRIBING.reason, (["segment"],)),
        "known_speaker_names": NO_SPEAKERS,
        "known_speaker_references": NO_SPEAKERS,
    },
)

SPEAKING = Contract(
    honoured=frozenset(
        {"model", "input", "voice", "response_format", "speed", "stream_format", "language", "keep_alive"}
    ),
    accepted={"stream": "sound always comes as it is made; 'stream_format' says in which form"},
    refused={"instructions": Refusal("models here cannot be told how to speak", ("",))},
)

EMBEDDING = Contract(
    honoured=frozenset({"model", "input", "encoding_format", "dimensions", "user", "keep_alive"}),
    refused={"stream": Refusal("vectors come all at once", (False,))},
)
