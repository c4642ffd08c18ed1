"""llama.cpp alone: continuous batching in the least Python that does it, over llama-cpp-python's C interface.

Every step is one llama_decode with a token of each running sequence and as much of the waiting prompts as the batch
holds, then one greedy draw a sequence. No text, no cache of prompts, no limits, no errors handled.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(slots=True)
class _Sequence:
    number: int
    todo: list[int]
    position: int = 0
    said: int = 0


class Loop:
    """One model in one context, on the CPU."""

    def __init__(self, model: Path, threads: int, places: int, context: int) -> None:
        from fluid_server.runtimes.llamacpp_native import CPU_BATCH

        self._c: Any = import_module("llama_cpp.llama_cpp")
        # Kept: the library does not. Without one it writes to stderr.
        self._listener = self._c.llama_log_callback(lambda level, text, data: None)
        self._c.llama_log_set(self._listener, None)
        self._c.llama_backend_init()
        settings = self._c.llama_model_default_params()
        settings.n_gpu_layers = 0
        self._model = self._c.llama_model_load_from_file(str(model).encode(), settings)
        self._vocabulary = self._c.llama_model_get_vocab(self._model)
        self._context = self._new_context(threads, places, context, CPU_BATCH)
        self._memory = self._c.llama_get_memory(self._context)
        self._size = CPU_BATCH
        self._batch()
        # ctypes lets go of the GIL around each call of a CDLL, which costs more than a short call itself.
        short = ctypes.PyDLL(self._c._lib._name)
        self._sample = short.llama_sampler_sample
        self._sample.restype = ctypes.c_int32
        self._sample.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        self._sampler = self._greedy()

    def run(self, prompts: Sequence[str], tokens: int) -> tuple[int, int, list[float]]:
        """Tokens of the prompts, tokens generated, and when each sequence's first one was there."""
        running = [_Sequence(number, self._ids(prompt)) for number, prompt in enumerate(prompts)]
        read = sum(len(one.todo) for one in running)
        first: list[float] = []
        while running:
            for one, row in self._step(running):
                one.todo = [self._sample(self._sampler, self._context, row)]
                one.said += 1
                if one.said == 1:
                    first.append(time.perf_counter())
            running = [one for one in running if one.said < tokens]
        self._c.llama_memory_clear(self._memory, False)
        return read, tokens * len(prompts), first

    def _step(self, running: Sequence[_Sequence]) -> list[tuple[_Sequence, int]]:
        """One llama_decode; the sequences that have logits now, with their rows."""
        end = 0
        ready: list[tuple[_Sequence, int]] = []
        for one in sorted(running, key=lambda one: not one.said):
            count = min(len(one.todo), self._size - end)
            if not count:
                break
            last = end + count
            self._tokens[end:last] = one.todo[:count]
            self._positions[end:last] = range(one.position, one.position + count)
            self._sequences[end:last] = one.number
            self._wanted[end:last] = 0
            one.todo = one.todo[count:]
            one.position += count
            end = last
            if not one.todo:
                self._wanted[end - 1] = 1
                ready.append((one, end - 1))
        self._struct.n_tokens = end
        if said := self._c.llama_decode(self._context, self._struct):
            raise RuntimeError(f"llama_decode said {said}")
        return ready

    def _ids(self, text: str) -> list[int]:
        data = text.encode()
        array = (ctypes.c_int32 * (len(data) + 8))()
        count = self._c.llama_tokenize(self._vocabulary, data, len(data), array, len(array), True, True)
        return list(array[:count])

    def _new_context(self, threads: int, places: int, context: int, batch: int) -> Any:
        settings = self._c.llama_context_default_params()
        settings.n_ctx, settings.n_seq_max, settings.kv_unified = context * places, places, True
        settings.n_batch = settings.n_ubatch = batch
        settings.n_threads = settings.n_threads_batch = threads
        settings.no_perf = True
        return self._c.llama_init_from_model(self._model, settings)

    def _batch(self) -> None:
        size = self._size
        self._tokens, self._positions = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._counts, self._sequences = np.ones(size, np.int32), np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._addresses = self._sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._struct = self._c.llama_batch()
        self._struct.token = _pointer(self._tokens, ctypes.c_int32)
        self._struct.pos = _pointer(self._positions, ctypes.c_int32)
        self._struct.n_seq_id = _pointer(self._counts, ctypes.c_int32)
        self._struct.seq_id = _pointer(self._addresses, ctypes.POINTER(ctypes.c_int32))
        self._struct.logits = _pointer(self._wanted, ctypes.c_int8)

    def _greedy(self) -> Any:
        """As our driver's: what would end an answer is never drawn, of the rest the likeliest."""
        c = self._c
        size = c.llama_vocab_n_tokens(self._vocabulary)
        ends = [token for token in range(size) if c.llama_vocab_is_eog(self._vocabulary, token)]
        biases = (c.llama_logit_bias * len(ends))()
        for entry, token in zip(biases, ends, strict=True):
            entry.token, entry.bias = token, -np.inf
        chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_logit_bias(size, len(biases), biases))
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_greedy())
        return chain


def _pointer(array: Any, kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
