"""Ends a step of llama.cpp in the middle of its work, from another thread."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


class Brake:
    """What llama.cpp asks between two operations of a step: whether to go on.

    It asks some hundred times in a step. Python would have to take the GIL for each answer, so the C library gives
    it: ``strlen`` of one byte and a zero is 1 or 0, as the byte says, which is what a bool is.
    """

    def __init__(self, c: Any) -> None:
        library = ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)
        self._byte = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(library.strlen, c.ggml_abort_callback)
        self.data = ctypes.cast(self._byte, ctypes.c_void_p)

    def pull(self) -> None:
        """The step that is being computed ends at its next operation; any thread may say so."""
        self._byte[0] = b"\x01"

    def release(self) -> None:
        """The next step may run."""
        self._byte[0] = b"\x00"
