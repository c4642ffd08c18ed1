"""Tokens and their text for OpenVINO models: encoding, decoding, and which special tokens stay in an answer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Protocol

_INCOMPLETE = "\ufffd"  # what a decoder writes for bytes that are no character


class ModelTokenizer(Protocol):
    """A model's vocabulary: how many tokens it has, and the way between ids and text.

    ``independent``: a token's bytes are the same whatever stands beside it.
    """

    vocabulary: int
    independent: bool

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to ids; ``special`` adds what the tokenizer puts around plain text."""
        ...

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        """Ids to text."""
        ...


class _FastTokenizer:
    """`tokenizers`, where the model has a tokenizer.json: the same ids as OpenVINO's, a hundred times faster."""

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer, decoders

        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.independent = isinstance(self._tokenizer.decoder, decoders.ByteLevel)

    def encode(self, text: str, *, special: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))


class _PipelineTokenizer:
    """OpenVINO's own tokenizer, for folders without a tokenizer.json."""

    independent = False  # it does not say how it decodes

    def __init__(self, folder: Path, genai: Any) -> None:
        self._tokenizer = genai.Tokenizer(str(folder))
        self.vocabulary = len(self._tokenizer.get_vocab())

    def encode(self, text: str, *, special: bool) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=special).input_ids
        return [int(token) for token in ids.data.reshape(-1)]

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)) if ids else ""


def open_tokenizer(folder: Path, genai: Any) -> ModelTokenizer:
    """The faster of the tokenizers that the folder has."""
    file = folder / "tokenizer.json"
    return _FastTokenizer(file) if file.is_file() else _PipelineTokenizer(folder, genai)


class Keeping:
    """A tokenizer's decoding that leaves some special tokens in, and skips the others itself.

    ``marks`` are the texts of those that stay; None is all of them. What it has found out of a token it remembers: one
    serves all answers that keep the same.
    """

    def __init__(self, tokenizer: ModelTokenizer, marks: frozenset[str] | None) -> None:
        self._tokenizer = tokenizer
        self._marks = marks
        self.alone = cache(self._alone)
        self._is_hidden = cache(self._is_skipped)

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        """Ids to text; without those that are to be skipped, if so told."""
        kept = [token for token in ids if not self._is_hidden(token)] if skip_special_tokens else ids
        return self._tokenizer.decode(kept, skip_special_tokens=False) if kept else ""

    def _alone(self, token: int) -> str | None:
        """What a token says wherever it stands; None where that depends on others, or it is no whole character."""
        if not self._tokenizer.independent:
            return None
        text = self.decode([token])
        return None if _INCOMPLETE in text else text

    def _is_skipped(self, token: int) -> bool:
        if self._marks is None:
            return False
        text = self._tokenizer.decode([token], skip_special_tokens=False)
        special = text != "" and self._tokenizer.decode([token], skip_special_tokens=True) == ""
        return special and text not in self._marks
