"""PrebuiltEmbedder: embeddings by llama.cpp's server core from the xllamacpp wheel."""

from __future__ import annotations

import json
import secrets
from base64 import b64decode
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.embedding import Vectors
from fluid_server.runtimes.llamacpp_listener import ListenerVocabulary
from fluid_server.runtimes.llamacpp_pooling import Reading
from fluid_server.runtimes.llamacpp_prebuilt import parameters
from fluid_server.types import ModelSpec, RuntimeOptions

SPARE = 1  # cells: the core refuses a text that fills its cache, and makes none larger than the model's context


class PrebuiltEmbedder:
    """One model in llama.cpp's server core, with a slot for each text of a batch."""

    def __init__(self, spec: ModelSpec, options: RuntimeOptions, plan: Reading) -> None:
        xllamacpp: Any = import_module("xllamacpp")
        self.engine = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        key = secrets.token_urlsafe(24)
        chosen = parameters(xllamacpp, spec, options, plan.cells, key)
        chosen.n_parallel = plan.limits.rows
        chosen.n_batch = chosen.n_ubatch = plan.rows
        chosen.embedding = True
        chosen.pooling_type = xllamacpp.llama_pooling_type(plan.pooling)
        try:
            self._server = xllamacpp.Server(chosen)
        except RuntimeError as error:
            raise EngineFailed(f"llama.cpp could not load the model: {plain_reason(error)}") from error
        has_cache = spec.kv_bytes_per_token is not None
        self.context_length = min(plan.context_length, plan.cells - SPARE) if has_cache else plan.context_length
        self.vocabulary = ListenerVocabulary(self._server.listening_address, key)

    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of a batch. Errors: EngineFailed."""
        question = {"input": [list(ids) for ids in batch], "encoding_format": "base64"}
        try:
            answer = json.loads(self._server.handle_embeddings(json.dumps(question).encode()))
        except (RuntimeError, ValueError) as failure:
            raise EngineFailed(f"llama.cpp failed: {plain_reason(failure)}") from failure
        if "data" not in answer:
            reason = answer.get("error", {}).get("message", "no reason given")
            raise EngineFailed(f"llama.cpp could not embed these texts: {reason}")
        found = sorted(answer["data"], key=lambda one: int(one["index"]))
        return np.stack([np.frombuffer(b64decode(one["embedding"]), "<f4") for one in found])

    def close(self) -> None:
        """Let go of the listener; the process ends after this."""
        self.vocabulary.close()
