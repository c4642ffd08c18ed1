"""How llama.cpp is told to embed: how much it computes in one step, and how a text's vectors become one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fluid_server.runtimes.embedding_batch import Limits, limits_for
from fluid_server.runtimes.text_plan import kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

POOLINGS = {"mean": 1, "cls": 2, "last": 3}  # llama.cpp's numbers
MOST_AT_ONCE = 8192  # tokens; what is computed in one step takes memory of its own for each


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens of the longest text, of the KV cache (or what stands for it), and of one step.

    ``limits`` are those of a batch. ``pooling`` is llama.cpp's number. ``note`` says where the context has shrunk.
    """

    context_length: int
    cells: int
    rows: int
    limits: Limits
    pooling: int
    note: str = ""


def reading(spec: ModelSpec, options: RuntimeOptions) -> Reading:
    """From a model and how it is to be loaded.

    A text is read step by step only where there is a cache and the last token's vector is the text's: all others need
    the whole text in one step. What does not say how it pools takes the mean, as sentence-transformers does.
    """
    limits, pooling = limits_for(options.device), POOLINGS[spec.pooling or "mean"]
    # A batch is in the cache, and nothing beside it.
    fitting, cells, note = kv_tokens(replace(options, parallel=1), spec, spec.kv_bytes_per_token)
    if spec.pooling == "last" and spec.kv_bytes_per_token is not None:
        return Reading(fitting, max(cells, limits.tokens), limits.tokens, limits, pooling, note)
    context = min(fitting, MOST_AT_ONCE)
    if context < fitting:
        note = f"context shortened from {fitting} to {context} tokens: a text is computed in one step"
    rows = max(context, limits.tokens)
    return Reading(context, rows, rows, limits, pooling, note)
