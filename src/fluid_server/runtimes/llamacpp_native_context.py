"""A model and its context through the C interface: weights, LoRAs over them, and the memory of all sequences."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import spare_threads
from fluid_server.runtimes.llamacpp_native_library import Library
from fluid_server.runtimes.llamacpp_native_shelf import Saved
from fluid_server.types import ModelSpec, RuntimeOptions

ALL_LAYERS = 999


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a context: tokens that its cache holds in all, sequences that share it, rows of one step.

    With a ``pooling`` (llama.cpp's number) a step gives a vector of each sequence, and no logits.
    """

    cells: int
    sequences: int
    rows: int
    pooling: int | None = None


class ContextMemory:
    """The memory of one context. Its last sequence, ``spare``, is for copies from one place to another."""

    def __init__(self, library: Library, context: Any, spare: int) -> None:
        self._library = library
        self._context = context
        self._memory = library.c.llama_get_memory(context)
        self._spare = spare
        self._sizes: dict[int, int] = {}  # bytes of so many tokens: to ask for them takes as long as the copy

    def cut(self, sequence: int, length: int) -> bool:
        """Keep the first ``length`` tokens; False where this kind of memory cannot."""
        return bool(self._library.seq_rm(self._memory, sequence, length, -1))

    def copy(self, source: int, target: int, length: int) -> None:
        """Give the empty target the source's first ``length`` tokens."""
        self._library.seq_cp(self._memory, source, target, 0, length)

    def save(self, sequence: int, start: int, end: int) -> Saved | None:
        """What was computed of the tokens from ``start`` to ``end``, copied; None where there is no memory for it."""
        c = self._library.c
        self._library.seq_cp(self._memory, sequence, self._spare, start, end)
        try:
            if end - start not in self._sizes:
                self._sizes[end - start] = c.llama_state_seq_get_size(self._context, self._spare)
            saved = np.empty(self._sizes[end - start], np.uint8)
            written = c.llama_state_seq_get_data(self._context, _bytes(saved), saved.nbytes, self._spare)
        except MemoryError:  # other programs have taken what was reserved
            return None
        finally:
            self.cut(self._spare, 0)
        return saved if written and written == saved.nbytes else None  # it says 0 where it has failed

    def restore(self, sequence: int, saved: Saved, start: int, end: int) -> bool:
        """Lay the saved tokens from ``start`` to ``end`` behind what the sequence has; False where no room is left."""
        if read := self._read(saved):
            self._library.seq_cp(self._memory, self._spare, sequence, start, end)
        self.cut(self._spare, 0)
        return read

    def move(self, sequence: int, length: int) -> None:
        """Put all tokens of a sequence into the first cells that are free; where there are too few they stay."""
        saved = self.save(sequence, 0, length)
        if saved is not None and self._read(saved):
            self.cut(sequence, 0)
            self.copy(self._spare, sequence, length)
        self.cut(self._spare, 0)

    def _read(self, saved: Saved) -> bool:
        """Into the spare sequence."""
        c = self._library.c
        return bool(saved.nbytes == c.llama_state_seq_set_data(self._context, _bytes(saved), saved.nbytes, self._spare))


def _bytes(saved: Saved) -> Any:
    return ctypes.cast(saved.ctypes.data, ctypes.POINTER(ctypes.c_uint8))


def load_model(library: Library, spec: ModelSpec, options: RuntimeOptions) -> Any:
    """The weights. Errors: EngineFailed with what llama.cpp complains of."""
    settings = library.c.llama_model_default_params()
    settings.n_gpu_layers = 0 if options.device == "CPU" else ALL_LAYERS
    library.complaints()
    model = library.c.llama_model_load_from_file(str(spec.path).encode(), settings)
    if not model:
        raise EngineFailed(f"llama.cpp could not load the model: {library.complaints() or 'it did not say why'}")
    return model


def make_context(library: Library, model: Any, spec: ModelSpec, options: RuntimeOptions, sizes: Sizes) -> Any:
    """Room for all sequences, and the model's LoRAs over it. Frees the model where there is none.

    Errors: EngineFailed.

    Windows that slide keep all of their cells too (``swa_full``, llama.cpp's default): the budget counts them, and
    without them a sequence could only go on from its end.
    """
    try:
        loras = [_lora(library, model, str(adapter.path)) for adapter in spec.adapters]  # before there is a context
        context = library.c.llama_init_from_model(model, _settings(library, options, sizes))
        if not context:
            reason = library.complaints() or "the memory for its KV cache may be missing"
            raise EngineFailed(f"llama.cpp could not make room for the model: {reason}")
    except EngineFailed:
        library.c.llama_model_free(model)
        raise
    if loras:
        handles = (library.c.llama_adapter_lora_p_ctypes * len(loras))(*loras)
        scales = (ctypes.c_float * len(loras))(*(adapter.scale for adapter in spec.adapters))
        library.c.llama_set_adapters_lora(context, handles, len(loras), scales)
    return context


def _lora(library: Library, model: Any, path: str) -> Any:
    """It is freed with the model. Errors: EngineFailed."""
    lora = library.c.llama_adapter_lora_init(model, path.encode())
    if not lora:
        raise EngineFailed(f"llama.cpp could not lay the adapter over the model: {library.complaints()}")
    return lora


def _settings(library: Library, options: RuntimeOptions, sizes: Sizes) -> Any:
    settings = library.c.llama_context_default_params()
    settings.n_ctx = sizes.cells
    settings.n_seq_max = sizes.sequences
    settings.kv_unified = True
    settings.n_batch = settings.n_ubatch = sizes.rows
    settings.n_threads = settings.n_threads_batch = options.threads or spare_threads()
    settings.no_perf = True
    if sizes.pooling is not None:
        settings.embeddings = True
        settings.pooling_type = sizes.pooling
    return settings
