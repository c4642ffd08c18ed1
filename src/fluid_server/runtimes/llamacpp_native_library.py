"""llama.cpp's C interface, as llama-cpp-python binds it, and once more for the calls that take microseconds.

ctypes lets go of the GIL around each call of a ``CDLL``. That is right for llama_decode and for loading, and costs
more than the call itself for all others, which are bound through ``PyDLL`` (measured: 20 instead of 33 microseconds a
token, and 0.8 instead of 36 ms a step beside a busy Python thread).
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluid_server.errors import EngineFailed

PACKAGE = "llama-cpp-python"
Floats = npt.NDArray[np.float32]
POINTER, INT = ctypes.c_void_p, ctypes.c_int32
WORST_LEVELS = (3, 4)  # of its log: warnings and errors
CONTINUED = 5
REMEMBERED = 50


@cache
def the_library() -> Library:
    """The one of this process: it logs to one listener, which must be there as long as anything may be logged."""
    return Library()


class Library:
    """The loaded library. ``c`` is llama-cpp-python's own binding of it."""

    def __init__(self) -> None:
        self.version = version(PACKAGE)
        self.c: Any = import_module("llama_cpp.llama_cpp")
        self._check()
        self._heard: deque[str] = deque(maxlen=REMEMBERED)
        self._level = 0
        self._listener = self.c.llama_log_callback(self._hear)  # kept: the library does not
        self.c.llama_log_set(self._listener, None)
        _load_backends(Path(self.c._lib._name))
        self.c.llama_backend_init()
        short = ctypes.PyDLL(self.c._lib._name)
        self.sample = _bound(short.llama_sampler_sample, INT, POINTER, POINTER, INT)
        self.apply = _bound(short.llama_sampler_apply, None, POINTER, POINTER)
        self.accept = _bound(short.llama_sampler_accept, None, POINTER, INT)
        self.logits_of = _bound(short.llama_get_logits_ith, POINTER, POINTER, INT)
        self.seq_rm = _bound(short.llama_memory_seq_rm, ctypes.c_bool, POINTER, INT, INT, INT)
        self.seq_cp = _bound(short.llama_memory_seq_cp, None, POINTER, INT, INT, INT, INT)
        self.decode = _bound(ctypes.CDLL(self.c._lib._name).llama_decode, INT, POINTER, self.c.llama_batch)

    def logits(self, context: Any, row: int, size: int) -> Floats:
        """A view of the logits that the last step computed for a row of its batch."""
        address = ctypes.cast(self.logits_of(context, row), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, (size,))

    def complaints(self) -> str:
        """What the library has last warned of, which is why a load has failed. Empties the memory of it."""
        said = "".join(self._heard).strip()
        self._heard.clear()
        return " ".join(said.splitlines()[-3:])

    def _hear(self, level: int, text: bytes, _: Any) -> None:
        """May be called from any thread, and must not raise."""
        self._level = self._level if level == CONTINUED else level
        if self._level in WORST_LEVELS:
            self._heard.append(text.decode("utf-8", "replace"))

    def _check(self) -> None:
        """See that structures and library belong together: another libllama may have been put in its place."""
        settings = self.c.llama_context_default_params()
        if not (1 <= settings.n_batch <= 2**20 and 1 <= settings.n_seq_max <= 2**10 and settings.n_threads > 0):
            raise EngineFailed(
                f"{PACKAGE} {self.version} and its llama.cpp library do not fit together: install it anew, and unset "
                "LLAMA_CPP_LIB_PATH."
            )


def _load_backends(library: Path) -> None:
    """Load the backends that lie beside the library, the best of each kind for this machine.

    A build with GGML_BACKEND_DL has a file for each, and of the CPU's one for each generation of processors. llama.cpp
    looks for them beside the program and in the current folder, which anybody may have filled, and not beside itself.
    In any other build they are linked in: then some are there already.
    """
    if sys.platform == "win32":
        ggml = ctypes.CDLL(str(library.with_name(library.name.replace("llama", "ggml"))))
    else:  # through the library that needs it: a wheel holds it under several names, each of which would be loaded anew
        ggml = ctypes.CDLL(str(library))
    if not _bound(ggml.ggml_backend_reg_count, ctypes.c_size_t)():
        _bound(ggml.ggml_backend_load_all_from_path, None, ctypes.c_char_p)(str(library.parent).encode())


def _bound(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function
