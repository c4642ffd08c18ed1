"""The rows of one engine step: numpy arrays behind one llama_batch, written by slices."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np


class Batch:
    """At most ``size`` rows; each is a token at a position of a sequence, with or without logits to be computed."""

    def __init__(self, c: Any, size: int) -> None:
        self.size = size
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._counts = np.ones(size, np.int32)
        self._sequences = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        # llama.cpp wants a list of sequences for each row: a pointer to each row's one entry
        addresses = self._sequences.ctypes.data + self._sequences.itemsize * np.arange(size, dtype=np.uint64)
        self._addresses = addresses.astype(np.uint64)
        self.struct = c.llama_batch()
        self.struct.token = _pointer(self._tokens, ctypes.c_int32)
        self.struct.pos = _pointer(self._positions, ctypes.c_int32)
        self.struct.n_seq_id = _pointer(self._counts, ctypes.c_int32)
        self.struct.seq_id = _pointer(self._addresses, ctypes.POINTER(ctypes.c_int32))
        self.struct.logits = _pointer(self._wanted, ctypes.c_int8)
        self.clear()

    def __len__(self) -> int:
        return int(self.struct.n_tokens)

    @property
    def left(self) -> int:
        """How many more rows fit."""
        return self.size - len(self)

    def clear(self) -> None:
        """Begin a new step."""
        self.struct.n_tokens = 0

    def add(self, sequence: int, position: int, tokens: Sequence[int], *, logits: bool) -> int:
        """Tokens of one sequence from a position on, with logits for the last or for none; the last one's row."""
        start = len(self)
        end = start + len(tokens)
        if len(tokens) == 1:  # by far the most often: slices take more than twice as long
            self._tokens[start], self._positions[start] = tokens[0], position
            self._sequences[start], self._wanted[start] = sequence, logits
            self.struct.n_tokens = end
            return start
        self._tokens[start:end] = tokens
        self._positions[start:end] = np.arange(position, position + len(tokens), dtype=np.int32)
        self._sequences[start:end] = sequence
        self._wanted[start:end] = 0
        self._wanted[end - 1] = logits
        self.struct.n_tokens = end
        return end - 1

    def add_whole(self, sequence: int, position: int, tokens: Sequence[int]) -> None:
        """Tokens of one sequence, each of which counts for the sequence's vector."""
        start = len(self)
        end = self.add(sequence, position, tokens, logits=True) + 1
        self._wanted[start:end] = 1


def _pointer(array: Any, kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
