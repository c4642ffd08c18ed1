"""A vocabulary as llama.cpp's HTTP listener tells it: loopback, a random port, a random key."""

from __future__ import annotations

import http.client
import json
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp_vocabulary import Vocabulary


class ListenerVocabulary(Vocabulary):
    """Asked over one connection."""

    def __init__(self, address: str, key: str) -> None:
        super().__init__()
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    @cached_property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self._ask("GET", "/models")["data"][0]["meta"]["n_vocab"])

    def ids(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The ids of a text."""
        question = {"content": text, "add_special": add_special, "parse_special": parse_special}
        return [int(token) for token in self._ask("POST", "/tokenize", question)["tokens"]]

    def join(self, ids: list[int]) -> str:
        """The text of these tokens."""
        return str(self._ask("POST", "/detokenize", {"tokens": ids})["content"])

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

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
