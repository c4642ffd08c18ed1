"""A model's vocabulary as llama.cpp's HTTP listener tells it: loopback, a random port, a random key."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from fluid_server.errors import EngineFailed, InvalidRequest


class Vocabulary:
    """Text to ids and back. Used by one thread at a time."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._special: dict[int, bool] = {}
        self._texts: dict[int, str] = {}

    @cached_property
    def size(self) -> int:
        """How many tokens there are; their ids are 0 to this, exclusive."""
        return int(self._ask("GET", "/models")["data"][0]["meta"]["n_vocab"])

    def check(self, ids: Iterable[int], param: str) -> None:
        """See that these ids are tokens. Errors: InvalidRequest."""
        for token in ids:
            if not 0 <= token < self.size:
                raise InvalidRequest(
                    f"'{param}' has the token {token}, but this model's tokens are 0 to {self.size - 1}.", param=param
                )

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text in which special tokens are recognised; ``special`` adds BOS and the like."""
        return self._tokenized(text, add_special=special, parse_special=True)

    def detokenize(self, ids: list[int]) -> str:
        """The text of these tokens, special ones included. Errors: InvalidRequest."""
        self.check(ids, "prompt")
        return str(self._ask("POST", "/detokenize", {"tokens": ids})["content"])

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

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _is_special(self, token: int) -> bool:
        """Whether plain text never becomes this token, and it is left out of generated text."""
        if token not in self._special:
            text = self.text(token)
            self._special[token] = self._tokenized(text, add_special=False, parse_special=True) == [
                token
            ] and self._tokenized(text, add_special=False, parse_special=False) != [token]
        return self._special[token]

    def _tokenized(self, text: str, **flags: bool) -> list[int]:
        return [int(token) for token in self._ask("POST", "/tokenize", {"content": text, **flags})["tokens"]]

    def _ask(self, method: str, path: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
        body = json.dumps(question).encode() if question is not None else None
        try:
            return self._send(method, path, body)
        except (OSError, http.client.HTTPException):
            self._connection.close()  # an idle connection was closed by the other side: once more, freshly
            return self._send(method, path, body)

    def _send(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        payload = response.read()
        if response.status != http.client.OK:
            raise EngineFailed(f"llama.cpp did not answer {path} (status {response.status}).")
        data: dict[str, Any] = json.loads(payload)
        return data
