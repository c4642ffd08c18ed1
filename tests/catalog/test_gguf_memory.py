"""What models in GGUF keep of a sequence: tables of the shapes that headers tell."""

from __future__ import annotations

import pytest

from fluid_server.catalog.gguf import Value
from fluid_server.catalog.gguf_memory import kv_bytes_per_token, state_bytes

CACHE, STATE = 2, 4  # bytes of an element
COMMON: dict[str, Value] = {
    "block_count": 4,
    "embedding_length": 512,
    "attention.head_count": 8,
    "attention.head_count_kv": 2,
}
SSM: dict[str, Value] = {"ssm.conv_kernel": 4, "ssm.inner_size": 1024, "ssm.state_size": 16}
HEAD = 2 * 64  # keys and values of one
MAMBA = 3 * 1024 + 16 * 1024


@pytest.mark.parametrize(
    ("architecture", "told", "cached", "kept"),
    [
        ("llama", {}, 4 * 2 * HEAD, 0),
        ("llama", {"attention.head_count_kv": 0}, 0, 0),
        ("mamba", SSM, 0, 4 * MAMBA),
        ("mamba", SSM | {"attention.head_count": 0, "attention.head_count_kv": 0}, 0, 4 * MAMBA),
        ("mamba2", SSM | {"ssm.group_count": 2}, 0, 4 * (MAMBA + 3 * 2 * 2 * 16)),
        ("jamba", SSM | {"attention.head_count_kv": (0, 2, 0, 0)}, 2 * HEAD, 3 * MAMBA),
        ("falcon-h1", SSM, 4 * 2 * HEAD, 4 * MAMBA),  # every layer is both
        (
            "nemotron_h",  # the third layer is neither
            SSM | {"attention.head_count_kv": (0, 2, 0, 0), "feed_forward_length": (0, 0, 2048, 0)},
            2 * HEAD,
            2 * MAMBA,
        ),
        ("granitehybrid", SSM | {"attention.head_count_kv": (0, 2, 0, 0)}, 2 * HEAD, 3 * MAMBA),
        ("qwen3next", SSM | {"full_attention_interval": 4}, 2 * HEAD, 3 * MAMBA),
        ("lfm2", {"shortconv.l_cache": 3, "attention.head_count_kv": (0, 2, 2, 0)}, 4 * HEAD, 2 * 2 * 512),
        ("rwkv7", {"wkv.head_size": 64}, 0, 4 * 512 * (2 + 64)),
        ("rwkv6qwen2", {"wkv.head_size": 64, "token_shift_count": 1}, 0, 4 * 512 * (1 + 64)),
        (
            "kimi-linear",
            SSM | {"kda.head_dim": 32, "attention.head_count_kv": (0, 0, 0, 2)},
            2 * HEAD,
            3 * 8 * 32 * (3 * 3 + 32),
        ),
    ],
)  # fmt: skip
def test_layers_keep_cells_or_states(architecture: str, told: dict[str, Value], cached: int, kept: int) -> None:
    meta = {f"{architecture}.{name}": value for name, value in {**COMMON, **told}.items()}
    assert kv_bytes_per_token(architecture, meta) == (CACHE * cached or None)
    assert state_bytes(architecture, meta) == STATE * kept


def test_a_header_that_says_nothing_is_taken_to_keep_nothing_that_is_known() -> None:
    assert kv_bytes_per_token("mamba", {}) is None
    assert state_bytes("mamba", {}) == 0
