"""How llama.cpp is told to embed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fluid_server.runtimes.llamacpp_pooling import MOST_AT_ONCE, Reading, reading
from fluid_server.types import Format, Kind, ModelSpec, RuntimeOptions

KILOBYTE = 1024


def plan(*, context: int = 512, pooling: str | None = "cls", kv: int | None = None, **options: Any) -> Reading:
    spec = ModelSpec(
        id="m",
        format=Format.GGUF,
        kind=Kind.EMBEDDING,
        path=Path("m.gguf"),
        context_length=context,
        pooling=pooling,
        kv_bytes_per_token=kv,
    )
    return reading(spec, RuntimeOptions(**options))


def test_an_encoder_computes_its_longest_text_in_one_step() -> None:
    made = plan(context=2048)
    assert (made.context_length, made.cells, made.rows, made.note) == (2048, 2048, 2048, "")


def test_a_step_holds_a_batch_even_where_texts_are_short() -> None:
    made = plan(context=64)
    assert (made.context_length, made.rows) == (64, made.limits.tokens)


def test_a_long_context_of_one_step_is_shortened_and_said_so() -> None:
    made = plan(context=131_072)
    assert made.context_length == made.rows == MOST_AT_ONCE
    assert f"from 131072 to {MOST_AT_ONCE}" in made.note


def test_where_the_last_token_counts_a_text_is_read_step_by_step() -> None:
    made = plan(context=32_768, pooling="last", kv=KILOBYTE)
    assert (made.context_length, made.cells, made.rows) == (32_768, 32_768, made.limits.tokens)


def test_a_cache_stays_within_its_budget() -> None:
    for pooling in ("last", "mean"):
        made = plan(context=4096, pooling=pooling, kv=KILOBYTE, kv_budget_bytes=1000 * KILOBYTE)
        assert made.context_length == 1000
        assert "would not fit" in made.note


def test_what_does_not_say_how_it_pools_takes_the_mean() -> None:
    assert plan(pooling=None).pooling == plan(pooling="mean").pooling != plan(pooling="cls").pooling


def test_a_gpu_computes_more_at_once() -> None:
    assert plan(device="GPU").rows > plan().rows
