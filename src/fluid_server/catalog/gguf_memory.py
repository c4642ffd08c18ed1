"""What a model in GGUF remembers of a sequence, by its header. Figures are bytes.

Layers of attention keep keys and values of each token. Recurrent ones (Mamba, RWKV, short convolutions) keep a state,
which is as large for one token as for a million. Which layer is which, and how large its state is, are counted as
llama.cpp does (llama-hparams.cpp).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fluid_server.catalog import sidecar
from fluid_server.catalog.gguf import Value

STATE_ELEMENT_BYTES = 4  # llama.cpp keeps states in float32
WITHOUT_ATTENTION = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
TOKEN_SHIFTS = 2  # of a RWKV that does not say
KDA_KERNEL = 4  # of a Kimi that does not say
Number = Callable[[str], int | None]


def kv_bytes_per_token(architecture: str, meta: Mapping[str, Value]) -> int | None:
    """What one token takes in a 16-bit KV cache, over all layers; None where nothing is known, or nothing kept."""
    number = _numbers(architecture, meta)
    heads = number("attention.head_count")
    width = (number("embedding_length") or 0) // heads if heads else 0
    keys, values = number("attention.key_length") or width, number("attention.value_length") or width
    kv_heads = sum(_kv_heads(architecture, meta))
    return sidecar.KV_ELEMENT_BYTES * kv_heads * (keys + values) or None


def state_bytes(architecture: str, meta: Mapping[str, Value]) -> int:
    """What the states of one sequence take, over all recurrent layers, however long it is; 0 where there are none."""
    elements = _state(_numbers(architecture, meta))
    return STATE_ELEMENT_BYTES * elements * sum(_recurrent(architecture, meta)) if elements else 0


def _numbers(architecture: str, meta: Mapping[str, Value]) -> Number:
    return lambda key: sidecar.whole(meta.get(f"{architecture}.{key}"))


def _each(architecture: str, meta: Mapping[str, Value], key: str) -> tuple[int, ...] | None:
    """A number for each layer, where there is a list of them."""
    told = meta.get(f"{architecture}.{key}")
    return tuple(sidecar.whole(one) or 0 for one in told) if isinstance(told, tuple) else None


def _kv_heads(architecture: str, meta: Mapping[str, Value]) -> tuple[int, ...]:
    """How many heads for keys and values each layer has; they may be told for each, or for all."""
    number = _numbers(architecture, meta)
    layers = number("block_count") or 0
    each = _each(architecture, meta, "attention.head_count_kv")
    if each is not None:
        return each
    told = meta.get(f"{architecture}.attention.head_count_kv")
    if architecture in WITHOUT_ATTENTION or told == 0:
        return (0,) * layers
    count = sidecar.whole(told) or number("attention.head_count") or 0
    every = number("full_attention_interval") or 1
    return tuple(count if (layer + 1) % every == 0 else 0 for layer in range(layers))


def _recurrent(architecture: str, meta: Mapping[str, Value]) -> tuple[bool, ...]:
    """Whether each layer of a model that has states is recurrent: those without heads, unless they are no more than a
    feed-forward; and where every layer has heads, every layer has both."""
    heads = _kv_heads(architecture, meta)
    if all(heads):
        return (True,) * len(heads)
    forward = _each(architecture, meta, "feed_forward_length") or ()
    forward = forward if 0 in forward else ()
    return tuple(not count and not (forward[layer : layer + 1] or (0,))[0] for layer, count in enumerate(heads))


def _state(number: Number) -> int:
    """Elements of one layer's state."""
    width, heads = number("embedding_length") or 0, number("attention.head_count") or 0
    if size := number("wkv.head_size"):
        return width * ((number("token_shift_count") or TOKEN_SHIFTS) + size)
    if length := number("shortconv.l_cache"):
        return width * (length - 1)
    kernel = number("ssm.conv_kernel") or 0
    if size := number("kda.head_dim"):
        return heads * size * (3 * ((kernel or KDA_KERNEL) - 1) + size)
    inner, state = number("ssm.inner_size") or 0, number("ssm.state_size") or 0
    groups = number("ssm.group_count") or 0
    return max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner
