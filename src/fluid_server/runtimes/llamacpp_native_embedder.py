"""NativeEmbedder: embeddings over llama.cpp's C interface, compiled for this machine (llama-cpp-python)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.embedding import Vectors
from fluid_server.runtimes.llamacpp_native_batch import Batch
from fluid_server.runtimes.llamacpp_native_context import Sizes, load_model, make_context
from fluid_server.runtimes.llamacpp_native_library import the_library
from fluid_server.runtimes.llamacpp_native_vocabulary import NativeVocabulary
from fluid_server.runtimes.llamacpp_pooling import Reading
from fluid_server.types import ModelSpec, RuntimeOptions


class NativeEmbedder:
    """One model in one context that gives vectors of whole sequences. Nothing is kept from one batch to the next."""

    def __init__(self, spec: ModelSpec, options: RuntimeOptions, plan: Reading) -> None:
        self._library = the_library()
        self._model = load_model(self._library, spec, options)
        self.engine = f"llama.cpp (llama-cpp-python {self._library.version})"
        self.context_length = plan.context_length
        sizes = Sizes(plan.cells, plan.limits.rows, plan.rows, pooling=plan.pooling)
        self._context = make_context(self._library, self._model, spec, options, sizes)
        c = self._library.c
        self._memory = c.llama_get_memory(self._context)
        # An encoder keeps nothing, and is asked by another call.
        self._compute = self._library.decode if self._memory else c.llama_encode
        self._width = int(c.llama_model_n_embd_out(self._model))
        self._batch = Batch(c, plan.rows)
        self.vocabulary = NativeVocabulary(self._library, self._model)

    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of a batch. Errors: EngineFailed."""
        self._batch.clear()
        if self._memory:  # before, not after: what a batch that failed has left there would fail all that follow
            self._library.c.llama_memory_clear(self._memory, False)
        for sequence, ids in enumerate(batch):
            for place in range(0, len(ids), self._batch.size):
                part = ids[place : place + self._batch.size]
                if self._batch.left < len(part):
                    self._run()
                self._batch.add_whole(sequence, place, part)
        self._run()
        return np.stack([self._vector(sequence) for sequence in range(len(batch))])

    def close(self) -> None:
        """Free everything."""
        self._library.c.llama_free(self._context)
        self._library.c.llama_model_free(self._model)

    def _run(self) -> None:
        said = int(self._compute(self._context, self._batch.struct))
        if said:
            raise EngineFailed(f"llama.cpp could not embed these texts (it said {said}).")
        self._batch.clear()

    def _vector(self, sequence: int) -> Vectors:
        """A copy: the next step writes over what llama.cpp points to."""
        found = self._library.c.llama_get_embeddings_seq(self._context, sequence)
        if not found:
            raise EngineFailed("llama.cpp gave no vector for a text.")
        address = ctypes.cast(found, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, (self._width,)).copy()
