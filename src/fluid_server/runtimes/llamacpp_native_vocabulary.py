"""A model's vocabulary through the C interface: exact bytes of every token, read once."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp_native_library import Library
from fluid_server.runtimes.llamacpp_vocabulary import Vocabulary

USUAL = 256  # bytes of a token; some are longer


class NativeVocabulary(Vocabulary):
    """The tokens of a loaded model. ``handle`` is llama.cpp's own."""

    def __init__(self, library: Library, model: Any) -> None:
        super().__init__()
        self._c = library.c
        self.handle = library.c.llama_model_get_vocab(model)
        self._size = int(self._c.llama_vocab_n_tokens(self.handle))
        self.ends = frozenset(
            token for token in range(self._size) if self._c.llama_vocab_is_eog(self.handle, token)
        )  # the tokens that end an answer

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return self._size

    @cached_property
    def plain(self) -> list[bytes]:
        """What each token adds to a text; nothing for those that the vocabulary calls special."""
        return [self._piece(token, special=False) for token in range(self._size)]

    @cached_property
    def whole(self) -> list[bytes]:
        """What each token stands for, special ones included."""
        return [self._piece(token, special=True) for token in range(self._size)]

    def ids(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The ids of a text."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        while True:
            array = (ctypes.c_int32 * room)()
            found = self._c.llama_tokenize(self.handle, data, len(data), array, room, add_special, parse_special)
            if found >= 0:
                return list(array[:found])
            if -found <= room:
                raise EngineFailed("llama.cpp could not read this text as tokens.")
            room = -found

    def join(self, ids: list[int]) -> str:
        """The text of these tokens."""
        return b"".join(self.whole[token] for token in ids).decode("utf-8", "replace")

    def _piece(self, token: int, *, special: bool) -> bytes:
        room = USUAL
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = self._c.llama_token_to_piece(self.handle, token, buffer, room, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            room = -length
