"""Small GGUF models with random weights, one for each kind of memory that llama.cpp has besides plain attention.

They say nothing that makes sense. Their words are those of the model of benchmarks/make_model.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.make_model import VOCABULARY, packed, tokenizer, tokens, write
from fluid_server.catalog.scan import scan
from fluid_server.types import ModelSpec

Weights = Iterator[tuple[str, tuple[int, ...]]]
WIDTH, LAYERS, HEADS, HEAD, FEED_FORWARD = 64, 4, 4, 16, 128
CONTEXT, WINDOW = 1024, 32
SSM = {"conv_kernel": 4, "inner_size": 2 * WIDTH, "state_size": 16, "time_step_rank": 4}


def sliding() -> tuple[str, Mapping[str, object], Weights]:
    """Gemma 2: every other layer sees the last WINDOW tokens alone."""

    def shapes() -> Weights:
        for layer in range(LAYERS):
            yield from _attention(layer, HEADS)
            yield from _feed_forward(layer)
            yield f"blk.{layer}.post_attention_norm.weight", (WIDTH,)
            yield f"blk.{layer}.post_ffw_norm.weight", (WIDTH,)
        yield "output_norm.weight", (WIDTH,)

    keys = {"attention.sliding_window": WINDOW, "attention.key_length": HEAD, "attention.value_length": HEAD}
    return "gemma2", {**keys, "attention.head_count_kv": HEADS}, shapes()


def recurrent() -> tuple[str, Mapping[str, object], Weights]:
    """Mamba: one state for each sequence, and no way back to an earlier one."""

    def shapes() -> Weights:
        inner, state, rank = SSM["inner_size"], SSM["state_size"], SSM["time_step_rank"]
        for layer in range(LAYERS):
            named: dict[str, tuple[int, ...]] = {
                "attn_norm.weight": (WIDTH,),
                "ssm_in.weight": (2 * inner, WIDTH),
                "ssm_conv1d.weight": (inner, SSM["conv_kernel"]),
                "ssm_conv1d.bias": (inner,),
                "ssm_x.weight": (rank + 2 * state, inner),
                "ssm_dt.weight": (inner, rank),
                "ssm_dt.bias": (inner,),
                "ssm_a": (inner, state),
                "ssm_d": (inner,),
                "ssm_out.weight": (WIDTH, inner),
            }
            yield from ((f"blk.{layer}.{name}", shape) for name, shape in named.items())
        yield "output_norm.weight", (WIDTH,)

    return "mamba", {f"ssm.{name}": size for name, size in SSM.items()} | {"attention.head_count_kv": 0}, shapes()


def hybrid() -> tuple[str, Mapping[str, object], Weights]:
    """LFM2: some layers are attention, others a short convolution with a state."""
    heads = [0 if layer % 2 == 0 else HEADS for layer in range(LAYERS)]

    def shapes() -> Weights:
        for layer, count in enumerate(heads):
            if count:
                yield from _attention(layer, count)
                yield f"blk.{layer}.attn_q_norm.weight", (HEAD,)
                yield f"blk.{layer}.attn_k_norm.weight", (HEAD,)
            else:
                yield f"blk.{layer}.attn_norm.weight", (WIDTH,)
                yield f"blk.{layer}.shortconv.conv.weight", (WIDTH, 3)
                yield f"blk.{layer}.shortconv.in_proj.weight", (3 * WIDTH, WIDTH)
                yield f"blk.{layer}.shortconv.out_proj.weight", (WIDTH, WIDTH)
            yield from _feed_forward(layer)
        yield "token_embd_norm.weight", (WIDTH,)

    return "lfm2", {"shortconv.l_cache": 3, "attention.head_count_kv": heads}, shapes()


KINDS: Mapping[str, Callable[[], tuple[str, Mapping[str, object], Weights]]] = {
    "sliding": sliding,
    "recurrent": recurrent,
    "hybrid": hybrid,
}


def made(kind: str, folder: Path) -> ModelSpec:
    """Write one of KINDS below this folder, and find it as the catalog does."""
    architecture, keys, shapes = KINDS[kind]()
    draw = np.random.default_rng(7)
    weights = {"token_embd.weight": (VOCABULARY, WIDTH), **dict(shapes)}
    common: dict[str, object] = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "vocab_size": VOCABULARY,
        **keys,
    }
    header = {
        "general.architecture": architecture,
        "general.file_type": 1,
        **{f"{architecture}.{name}": value for name, value in common.items()},
        **tokens(tokenizer()),
    }
    place = folder / "llm" / kind
    place.mkdir(parents=True)
    tensors = {name: packed(_drawn(name, shape, draw), _precision(name)) for name, shape in weights.items()}
    write(place / f"{kind}.gguf", header, tensors)
    (spec,) = scan(folder)
    return spec


def _drawn(name: str, shape: tuple[int, ...], draw: np.random.Generator) -> NDArray[np.float32]:
    if name.endswith("norm.weight"):
        return np.ones(shape, np.float32)
    values = draw.standard_normal(shape, dtype=np.float32) * np.float32(shape[-1] ** -0.5)
    return -np.abs(values) if name.endswith("ssm_a") else values  # a state that fades


def _precision(name: str) -> str:
    return "F32" if name.endswith((".ssm_a", ".ssm_d", ".ssm_conv1d.weight", ".shortconv.conv.weight")) else "F16"


def _attention(layer: int, heads: int) -> Weights:
    yield f"blk.{layer}.attn_norm.weight", (WIDTH,)
    for name, count in (("q", HEADS), ("k", heads), ("v", heads)):
        yield f"blk.{layer}.attn_{name}.weight", (count * HEAD, WIDTH)
    yield f"blk.{layer}.attn_output.weight", (WIDTH, HEADS * HEAD)


def _feed_forward(layer: int) -> Weights:
    yield f"blk.{layer}.ffn_norm.weight", (WIDTH,)
    yield f"blk.{layer}.ffn_gate.weight", (FEED_FORWARD, WIDTH)
    yield f"blk.{layer}.ffn_up.weight", (FEED_FORWARD, WIDTH)
    yield f"blk.{layer}.ffn_down.weight", (WIDTH, FEED_FORWARD)
