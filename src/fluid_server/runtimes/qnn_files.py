"""What lies beside the graphs: metadata.json of a chipset's folder, the vocabulary at the model's root."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluid_server.content.stream import TokenDecoder
from fluid_server.content.whisper_rules import Drawn
from fluid_server.content.whisper_tokens import TIMESTAMPS, Marks, read_marks, token_bytes
from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_border import borders
from fluid_server.runtimes.qnn_contract import Contract, Half, read_contract
from fluid_server.runtimes.qnn_sessions import HALVES, Sessions
from fluid_server.types import TokenLogprob


def read_folder(folder: Path, sessions: Sessions) -> Contract:
    """The contract of a chipset's graphs. Errors: EngineFailed."""
    metadata = _json(folder / "metadata.json") or _json(folder.parent / "metadata.json")
    halves = []
    for name, session in zip(HALVES, sessions.halves, strict=True):
        told = quantisation(metadata, name)
        inputs = borders(name, session.get_inputs(), told.get("inputs", {}))
        halves.append(Half(name, inputs, borders(name, session.get_outputs(), told.get("outputs", {}))))
    return read_contract(*halves)


def quantisation(metadata: Mapping[str, Any], half: str) -> Mapping[str, Any]:
    """AI Hub's ``model_files`` has an entry for each half, called ``encoder.onnx``, ``encoder`` or the like."""
    files = metadata.get("model_files")
    named = files.items() if isinstance(files, dict) else ()
    return next((told for name, told in named if half in name.lower() and isinstance(told, dict)), {})


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file.name} cannot be read as JSON: download the model again.") from error
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's tokens, and what they mean."""

    tokenizer: Any
    marks: Marks

    def decode(self, tokens: list[int]) -> str:
        """Their text, without special tokens."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def decoder(self) -> TokenDecoder:
        """For text as it comes."""
        return TokenDecoder(self.tokenizer)

    def context(self, prompt: str | None, keywords: Sequence[str], room: int) -> list[int]:
        """The tokens of what came before: keywords first, then the end of the prompt. ``room`` is in tokens.

        Keywords get half of the room at most if there is a prompt: either would push the other out.
        """
        words = self._encode(", ".join(word.strip() for word in keywords)) if keywords else []
        before = self._encode(prompt) if prompt else []
        if before:
            words = words[: room // 2]
        return [*words[:room], *before[-max(1, room - len(words)) :]]

    def logprobs(self, drawn: Sequence[Drawn]) -> tuple[TokenLogprob, ...]:
        """Of the tokens that are text."""
        return tuple(self._logprob(one) for one in drawn if one.token < self.marks.end)

    def _logprob(self, one: Drawn) -> TokenLogprob:
        data = token_bytes(self.tokenizer.id_to_token(one.token) or "")
        return TokenLogprob(one.token, data.decode("utf-8", errors="replace"), one.logprob, data)

    def _encode(self, text: str) -> list[int]:
        """As in running text: a word in the middle of it begins with its space."""
        return list(self.tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids)


def open_vocabulary(folder: Path, vocabulary: int) -> Vocabulary:
    """``vocabulary`` is how many scores the decoder has. Errors: EngineFailed that names the file."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise EngineFailed(
            "tokenizer.json is missing: take the one of the model that the graphs were made from "
            "(such as openai/whisper-large-v3-turbo) and put it beside the chipset's folder."
        )
    tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    settings = {**_json(folder / "config.json"), **_json(folder / "generation_config.json")}
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
    marks = read_marks(added, vocabulary, settings)
    if (count := marks.first_timestamp + TIMESTAMPS) != vocabulary:
        raise EngineFailed(
            f"tokenizer.json is for {count} tokens and the decoder writes {vocabulary}: they are not of the same model."
        )
    return Vocabulary(tokenizer, marks)
