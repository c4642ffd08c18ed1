"""Whisper's vocabulary: the ids of its special tokens, and the prompt that says what is to be written down.

Ids are read from the model's own tokenizer.json, never counted: large-v3 has one language more than its
forerunners, so that everything after the languages has moved, and other models have vocabularies of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fluid_server.content.language import NAMES
from fluid_server.errors import EngineFailed

MULTILINGUAL_FROM = 51_865  # tokens: OpenAI's own test of whether a vocabulary is the multilingual one
SECONDS_PER_TIMESTAMP = 0.02
TIMESTAMPS = 1501  # 0.00 to 30.00 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The special tokens of one model. ``languages`` is empty for an English-only model, which has no tasks either.

    ``end`` ends a transcript; ids from ``first_timestamp`` on are times. ``previous`` begins the text that came
    before, ``no_speech`` is what the model writes where nobody speaks; either may be absent. ``suppressed`` are
    never written, ``suppressed_first`` not at the beginning. ``latest_start``: how many steps of 20 ms into a
    window its first segment may begin; None is anywhere.
    """

    start: int
    end: int
    transcribe: int
    translate: int
    no_timestamps: int
    first_timestamp: int
    previous: int | None = None
    no_speech: int | None = None
    languages: Mapping[str, int] = field(default_factory=dict)
    suppressed: frozenset[int] = frozenset()
    suppressed_first: frozenset[int] = frozenset()
    latest_start: int | None = None

    def start_sequence(self, language: str | None, task: str) -> list[int]:
        """What stands before the transcript: the start, and for a model with languages the language and the task."""
        if not self.languages:
            return [self.start]
        assert language is not None
        return [self.start, self.languages[language], self.translate if task == "translate" else self.transcribe]

    def preceding(self, context: Sequence[int], room: int) -> list[int]:
        """The tokens of what came before, under their mark; of a longer text the end. ``room`` is in tokens."""
        if self.previous is None or not context or room < 2:
            return []
        return [self.previous, *context[-(room - 1) :]]


def read_marks(added: Mapping[str, int], vocabulary: int, settings: Mapping[str, Any]) -> Marks:
    """From the added tokens of tokenizer.json (text → id), how many tokens there are, and generation_config.json.

    Errors: EngineFailed that names the token which is missing.
    """
    end, start = _id(added, "<|endoftext|>"), _id(added, "<|startoftranscript|>")
    transcribe, translate = _id(added, "<|transcribe|>"), _id(added, "<|translate|>")
    no_timestamps = _id(added, "<|notimestamps|>")
    previous, model_only = added.get("<|startofprev|>"), added.get("<|startoflm|>")
    no_speech = added.get("<|nospeech|>", added.get("<|nocaptions|>"))
    controls = {start, transcribe, translate, no_timestamps, previous, model_only, no_speech}
    return Marks(
        start=start,
        end=end,
        transcribe=transcribe,
        translate=translate,
        no_timestamps=no_timestamps,
        first_timestamp=no_timestamps + 1,
        previous=previous,
        no_speech=no_speech,
        languages=_languages(added, vocabulary, settings),
        suppressed=frozenset(_ids(settings.get("suppress_tokens")) | {one for one in controls if one is not None}),
        suppressed_first=frozenset(_ids(settings.get("begin_suppress_tokens")) | {end}),
        latest_start=_whole(settings.get("max_initial_timestamp_index")),
    )


def _id(added: Mapping[str, int], text: str) -> int:
    if text not in added:
        raise EngineFailed(
            f"tokenizer.json does not have the token {text}: it is not Whisper's. "
            "Take the one of the model that the graphs were made from."
        )
    return added[text]


def _ids(value: object) -> set[int]:
    return {one for one in value if isinstance(one, int) and one >= 0} if isinstance(value, list) else set()


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _languages(added: Mapping[str, int], vocabulary: int, settings: Mapping[str, Any]) -> dict[str, int]:
    """An English-only model's tokenizer may list languages that it was never taught."""
    multilingual = settings.get("is_multilingual")
    if multilingual is None:
        multilingual = bool(settings.get("lang_to_id")) or vocabulary >= MULTILINGUAL_FROM
    if not multilingual:
        return {}
    taught = settings.get("lang_to_id")
    named = {code: added[f"<|{code}|>"] for code in NAMES if f"<|{code}|>" in added}
    return {code: one for code, one in named.items() if not taught or f"<|{code}|>" in taught}


_PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + place): byte for place, byte in enumerate(_OTHERS)}


def token_bytes(piece: str) -> bytes:
    """The bytes that a token of a byte-level vocabulary stands for: ``Ġthe`` is ``b" the"``."""
    if all(character in _BYTE_OF for character in piece):
        return bytes(_BYTE_OF[character] for character in piece)
    return piece.encode()
