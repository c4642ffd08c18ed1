"""LlamaCppEmbeddingRuntime: embedding models in GGUF through llama.cpp, in the same two ways as language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.embedding import EmbeddingRuntime, Vectors
from fluid_server.runtimes.llamacpp import preferred_way
from fluid_server.runtimes.llamacpp_pooling import Reading, reading
from fluid_server.runtimes.llamacpp_vocabulary import Vocabulary
from fluid_server.runtimes.table import load_target
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions


class Embedder(Protocol):
    """What LlamaCppEmbeddingRuntime asks of llama.cpp, whichever way it is reached."""

    engine: str
    context_length: int
    vocabulary: Vocabulary

    def __init__(self, spec: ModelSpec, options: RuntimeOptions, plan: Reading) -> None:
        """Load the model. Errors: EngineFailed with the reason."""

    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of a batch within ``plan.limits``, or of one text within the context. Errors: EngineFailed."""

    def close(self) -> None:
        """End the engine."""


class LlamaCppEmbeddingRuntime(EmbeddingRuntime):
    """An embedding model in GGUF."""

    name = "llamacpp-embedding"
    _embedder: Embedder

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the model with the first way whose package is here."""
        progress("loading the weights", None)
        plan = reading(spec, options)
        self._embedder = load_target(preferred_way().embedder)(spec, options, plan)
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=options.parallel,
            engine=self._embedder.engine,
            context_length=self._embedder.context_length,
            notes=(plan.note,) if plan.note else (),
        )

    def encode(self, text: str) -> list[int]:
        """Text to token ids."""
        return self._embedder.vocabulary.tokenize(text, special=True)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are."""
        return self._embedder.vocabulary.size

    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of a batch."""
        return self._embedder.embed(batch)

    def close(self) -> None:
        """End the engine."""
        self._embedder.close()
