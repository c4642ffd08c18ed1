"""What weights take once they are loaded: the factors that presets and the model manager share. Figures are bytes."""

from __future__ import annotations

from collections.abc import Mapping

from fluid_server.types import Format

# Weights in memory for each byte on disk. OpenVINO maps its files and adds compiled buffers (measured 1.1 to
# 1.4 after the first token); llama.cpp repacks Q4_0 and Q8_0 on CPU, so that weights count nearly twice.
WEIGHT_FACTOR: Mapping[Format, float] = {
    Format.OPENVINO: 1.4,
    Format.GGUF: 2.0,
    Format.QNN: 1.2,
    Format.BUILTIN: 1.0,
    Format.UNKNOWN: 1.0,
}
WORKER_BASE = 150 * 1024**2  # a worker with its engine imported and no model: measured 80 to 145 MB
USEFUL_CONTEXT = 4096  # tokens: what a KV cache has to hold to be of use
FREE_SHARE = 0.8  # the part of free memory that models may take together


def footprint(form: Format, weights: int, kv_bytes_per_token: int | None = None, tokens: int = USEFUL_CONTEXT) -> int:
    """The worker itself, its weights, and a KV cache for ``tokens`` where one is known."""
    return WORKER_BASE + round(weights * WEIGHT_FACTOR[form]) + (kv_bytes_per_token or 0) * tokens
