"""A model's vocabulary as llama.cpp knows it: text to ids and back. Which way it is asked is the subclass's matter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from fluid_server.errors import EngineFailed, InvalidRequest


class Vocabulary(ABC):
    """Text to ids and back. Used by one thread at a time."""

    def __init__(self) -> None:
        self._special: dict[int, bool] = {}
        self._texts: dict[int, str] = {}

    @property
    @abstractmethod
    def size(self) -> int:
        """How many tokens there are; their ids are 0 to this, exclusive."""

    @abstractmethod
    def ids(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The ids of a text: with what the vocabulary adds around it, with special tokens recognised in it."""

    @abstractmethod
    def join(self, ids: list[int]) -> str:
        """The text of these tokens, special ones included; all of them exist."""

    def check(self, ids: Iterable[int], param: str) -> None:
        """See that these ids are tokens. Errors: InvalidRequest."""
        for token in ids:
            if not 0 <= token < self.size:
                raise InvalidRequest(
                    f"'{param}' has the token {token}, but this model's tokens are 0 to {self.size - 1}.", param=param
                )

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text in which special tokens are recognised; ``special`` adds BOS and the like."""
        return self.ids(text, add_special=special, parse_special=True)

    def detokenize(self, ids: list[int]) -> str:
        """The text of these tokens, special ones included. Errors: InvalidRequest."""
        self.check(ids, "prompt")
        return self.join(ids)

    def text(self, token: int) -> str:
        """One token's text, special or not."""
        if token not in self._texts:
            self._texts[token] = self.detokenize([token])
        return self._texts[token]

    def split(self, text: str) -> list[str | int]:
        """The text cut where tokens stand that the vocabulary calls special: the plain parts, and those tokens' ids."""
        parts: list[str | int] = []
        for token in self.tokenize(text, special=False):
            if not self._is_special(token):
                continue
            before, found, text = text.partition(self.text(token))
            if not found:
                raise EngineFailed(f"llama.cpp reads '{self.text(token)}' where it does not stand.")
            parts += [before, token]
        return [*parts, text]

    def _is_special(self, token: int) -> bool:
        """Whether plain text never becomes this token, and it is left out of generated text."""
        if token not in self._special:
            text = self.text(token)
            self._special[token] = self.ids(text, add_special=False, parse_special=True) == [token] and self.ids(
                text, add_special=False, parse_special=False
            ) != [token]
        return self._special[token]
