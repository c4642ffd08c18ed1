"""The models that are offered by a short name: facts about the table, and what is asked of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from fluid_server.catalog.footprint import USEFUL_CONTEXT, WORKER_BASE, footprint
from fluid_server.catalog.ggml import quantization_in
from fluid_server.catalog.presets import (
    INT4_CHANNELS,
    INT4_GROUPS,
    PRESETS,
    QWEN_TOKENIZER,
    Fit,
    Preset,
    fits,
    packed,
    preset,
    runs,
    suggest,
)
from fluid_server.managers.estimate import estimate
from fluid_server.types import Format, Kind, ModelSpec

GB = 1000**3
SPDX = {"Apache-2.0", "MIT"}
NAMED_LICENCES = {
    "CreativeML Open RAIL-M",
    "Gemma Terms of Use",
    "Llama 3.1 Community License",
    "Llama 3.2 Community License",
}
EIGHT_GB = Preset(
    alias="x",
    name="owner/x",
    format=Format.BUILTIN,
    kind=Kind.TEXT,
    size_bytes=8 * GB - WORKER_BASE,
    licence="MIT",
    device="CPU",
    summary="",
    parameters=8.0,
)

each = pytest.mark.parametrize("one", PRESETS, ids=lambda one: one.alias)


def test_every_alias_and_every_name_is_there_once() -> None:
    counts = Counter(name for one in PRESETS for name in (one.alias, one.name.casefold()))
    assert {name for name, count in counts.items() if count > 1} == set()


@each
def test_an_alias_is_short_and_lower_case(one: Preset) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{2,29}", one.alias)


@each
def test_gguf_names_a_quantisation_and_nothing_else_does(one: Preset) -> None:
    repository, _, quantization = one.name.partition(":")
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", repository)
    assert bool(quantization) == (one.format is Format.GGUF)
    assert quantization_in(f"model-{quantization}") == (quantization or None)


@each
def test_the_hub_s_name_is_understood(one: Preset) -> None:
    wanted = pytest.importorskip("fluid_server.catalog.wanted").parse(one.name)
    repository, _, quantization = one.name.partition(":")
    assert (wanted.repo, wanted.quantization) == (repository, quantization or None)


@each
def test_the_size_goes_with_the_parameters(one: Preset) -> None:
    bits = one.size_bytes * 8 / (one.parameters * GB)
    name = one.name.casefold()
    least, most = (16, 17) if "fp16" in name else (8, 10.5) if "int8" in name or "q8_0" in name else (4, 6.7)
    assert least <= bits <= most


@each
def test_the_licence_is_a_known_one(one: Preset) -> None:
    assert one.licence in SPDX | NAMED_LICENCES


@each
def test_what_a_person_reads_is_one_short_line(one: Preset) -> None:
    assert 10 < len(one.summary) < 90
    assert one.summary == one.summary.strip().rstrip(".")
    assert set(one.device.split(", ")) <= {"CPU", "GPU", "NPU"}


@each
def test_the_manager_will_reckon_with_the_same_memory(one: Preset) -> None:
    spec = ModelSpec(
        id=one.alias,
        format=one.format,
        kind=one.kind,
        path=Path(),
        size_bytes=one.size_bytes,
        kv_bytes_per_token=one.kv_bytes_per_token,
        context_length=USEFUL_CONTEXT,
    )
    assert estimate(spec).total == one.memory_bytes


@pytest.mark.parametrize(("form", "factor"), [(Format.OPENVINO, 1.4), (Format.GGUF, 2.0), (Format.BUILTIN, 1.0)])
def test_memory_is_the_worker_its_weights_and_its_cache(form: Format, factor: float) -> None:
    assert footprint(form, 10 * GB) == WORKER_BASE + 10 * GB * factor
    assert footprint(form, 0, 1000, tokens=3) == WORKER_BASE + 3000


@pytest.mark.parametrize(
    ("alias", "parameters", "tables", "bits"),
    [
        ("qwen3-4b-ov", 4.022e9, 0.389e9, INT4_GROUPS),
        ("qwen3-8b-ov", 8.191e9, 1.245e9, INT4_GROUPS),
        ("qwen3-8b-npu", 8.191e9, 1.245e9, INT4_CHANNELS),
    ],
)
def test_the_arithmetic_gives_the_sizes_that_are_known(
    alias: str, parameters: float, tables: float, bits: float
) -> None:
    known = preset(alias)
    assert known is not None
    assert packed(parameters, bits, tables=tables, beside=QWEN_TOKENIZER) == pytest.approx(known.size_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("available", "total", "expected"),
    [
        (10 * GB, 16 * GB, Fit.FITS),
        (64 * GB, 64 * GB, Fit.FITS),
        (10 * GB - 1, 16 * GB, Fit.CROWDED),
        (0, 10 * GB, Fit.CROWDED),
        (9 * GB, 10 * GB - 1, Fit.TOO_LARGE),
        (0, 0, Fit.TOO_LARGE),
    ],
)
def test_whether_it_fits(available: int, total: int, expected: Fit) -> None:
    assert fits(EIGHT_GB, memory_total=total, memory_available=available) is expected


@pytest.mark.parametrize(
    "name", ["qwen3-8b-ov", "QWEN3-8B-OV", "OpenVINO/Qwen3-8B-int4-ov", "openvino/qwen3-8b-INT4-ov"]
)
def test_a_preset_answers_to_its_alias_and_its_full_name(name: str) -> None:
    found = preset(name)
    assert found is not None
    assert found.alias == "qwen3-8b-ov"


@pytest.mark.parametrize("name", ["", "qwen", "Qwen3-8B-int4-ov", "owner/repo", "../qwen3-8b", "qwen3-8b-ov "])
def test_what_is_no_preset_is_none(name: str) -> None:
    assert preset(name) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("qwen3-8b-vo", "qwen3-8b-ov"),
        ("OpenVINO/Qwen3-8B-int4", "qwen3-8b-ov"),
        ("Whisper", "whisper-tiny"),
        ("lama-3.1-8b", "llama-3.1-8b"),
        ("stable diffusion", "stable-diffusion-1.5"),
        ("gpt-oss", "gpt-oss-20b"),
    ],
)
def test_a_close_alias_is_suggested(typed: str, meant: str) -> None:
    suggested = suggest(typed)
    assert meant in suggested
    assert len(suggested) <= 3


@pytest.mark.parametrize("typed", ["", "x", "/", ":", "zzzzzzzz", "z" * 100_000])
def test_nothing_is_suggested_for_what_is_like_nothing(typed: str) -> None:
    assert suggest(typed) == []


def test_a_preset_runs_where_a_runtime_takes_its_format_and_kind() -> None:
    assert runs(EIGHT_GB, {(Format.BUILTIN, Kind.TEXT)})
    assert not runs(EIGHT_GB, {(Format.BUILTIN, Kind.VISION), (Format.GGUF, Kind.TEXT)})
    assert not runs(EIGHT_GB, set())
