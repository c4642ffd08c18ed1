"""The GGUF reader: what it tells of whole files, and that no garbled file gets past it."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from fluid_server.catalog.folder import look
from fluid_server.catalog.ggml import preference, quantization_in
from fluid_server.catalog.gguf import GgufError, read_header
from fluid_server.catalog.gguf_models import recognise
from fluid_server.types import Kind, ModelSpec

WriteGguf = Callable[..., Path]


def only_model(path: Path) -> ModelSpec:
    (spec,) = recognise(look(path.parent))
    return spec


@pytest.mark.parametrize(("quantization", "file_type"), [("F16", 1), ("Q8_0", 7)])
def test_demo_files_are_read(models: Path, quantization: str, file_type: int) -> None:
    header = read_header(models / "llm/fluid-tiny-gguf" / f"fluid-tiny-{quantization}.gguf")
    assert header.version == 3
    assert header.vocabulary == 2048
    assert header.tensors > 30
    assert header.metadata["general.file_type"] == file_type
    assert header.metadata["llama.context_length"] == 2048
    assert header.special_tokens == {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    assert "tokenizer.ggml.tokens" not in header.metadata


def test_cutting_one_byte_off_a_demo_file_is_noticed(models: Path, tmp_path: Path) -> None:
    whole = (models / "llm/fluid-tiny-gguf/fluid-tiny-Q8_0.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[:-1])
    with pytest.raises(GgufError, match=r"cut\.gguf is cut short \(2\.2 of 2\.2 MB are there\)"):
        read_header(cut)


def test_both_versions_are_read(write_gguf: WriteGguf) -> None:
    assert read_header(write_gguf("a.gguf", version=2)).version == 2
    assert read_header(write_gguf("b.gguf", version=3)).version == 3


@pytest.mark.parametrize("block", range(8))
def test_no_truncation_gets_through(write_gguf: WriteGguf, block: int) -> None:
    path = write_gguf("whole.gguf", {"tokenizer.chat_template": "{{ messages }}", "list": [1, 2, 3]})
    whole = path.read_bytes()
    for length in range(block, len(whole), 8):
        path.write_bytes(whole[:length])
        with pytest.raises(GgufError, match=r"^whole\.gguf "):
            read_header(path)


@pytest.mark.parametrize("seed", range(20))
def test_garbled_bytes_give_a_header_or_a_gguf_error(write_gguf: WriteGguf, seed: int) -> None:
    path = write_gguf("garbled.gguf", {"list": [1, 2, 3], "general.alignment": 32})
    whole = path.read_bytes()
    dice = random.Random(seed)
    for _ in range(25):
        garbled = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            garbled[dice.randrange(len(garbled))] = dice.choice((0, 1, 8, 9, 0x7F, 0xFF))
        path.write_bytes(garbled)
        try:
            assert read_header(path).tensors == 1
        except GgufError as error:
            assert str(error).startswith("garbled.gguf ")


HUGE = 2**64 - 1
KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is cut short"),
        (b"PK\x03\x04" * 9, "is not a GGUF file"),
        (b"GGUF" + struct.pack(">I", 3), "big-endian"),
        (b"GGUF" + struct.pack("<I", 1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0), "tensors, which no model has"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, HUGE), "keys, which no model has"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, HUGE), "letters in a key"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<I", 99), "unknown type"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<IQ", 8, HUGE), "is cut short"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<IIQ", 9, 9, 1), "unknown type"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<IIQ", 9, 8, HUGE), "vocabulary"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + struct.pack("<IIQ", 9, 4, HUGE), "is cut short"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 1) + b"w" + struct.pack("<I", 5), "dimensions"),
    ],
)
def test_hostile_lengths_cost_nothing(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(GgufError, match=reason):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"shape": (4, 3)}, "cut short"),
        ({"shape": (2**63, 2**63, 2**63)}, "cut short"),
        ({"offset": 8, "data": 64}, "impossible place"),
        ({"shape": (33,), "tensor_type": 8, "data": 64}, "impossible shape"),
    ],
)
def test_a_tensor_that_does_not_fit_is_found(write_gguf: WriteGguf, form: dict[str, int], reason: str) -> None:
    with pytest.raises(GgufError, match=reason):
        read_header(write_gguf("x.gguf", **form))


def test_a_tensor_type_from_the_future_is_let_through(write_gguf: WriteGguf) -> None:
    assert read_header(write_gguf("x.gguf", tensor_type=250, shape=(2**40,))).tensors == 1


@pytest.mark.parametrize("alignment", [0, 33])
def test_an_impossible_alignment_is_refused(write_gguf: WriteGguf, alignment: int) -> None:
    with pytest.raises(GgufError, match="alignment"):
        read_header(write_gguf("x.gguf", {"general.alignment": alignment}))


def test_very_long_texts_are_skipped(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf("x.gguf", {"novel": "x" * (1 << 21), "after": 7}))
    assert "novel" not in header.metadata
    assert header.metadata["after"] == 7


def test_a_special_token_outside_the_vocabulary_is_left_out(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf("x.gguf", {"tokenizer.ggml.bos_token_id": 3}))
    assert header.special_tokens == {"eos_token": "</s>"}


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({}, Kind.TEXT),
        ({"llama.pooling_type": 0}, Kind.TEXT),
        ({"llama.pooling_type": 3}, Kind.EMBEDDING),
        ({"llama.pooling_type": 4}, Kind.RERANK),
        ({"general.architecture": "nomic-bert"}, Kind.EMBEDDING),
        ({"general.architecture": "bert", "bert.pooling_type": 4}, Kind.RERANK),
    ],
)
def test_kind_follows_architecture_and_pooling(write_gguf: WriteGguf, metadata: dict[str, object], kind: Kind) -> None:
    assert only_model(write_gguf("m/x.gguf", metadata)).kind is kind


@pytest.mark.parametrize(("number", "pooling"), [(0, None), (1, "mean"), (2, "cls"), (3, "last"), (9, None)])
def test_how_vectors_are_put_together_is_told(write_gguf: WriteGguf, number: int, pooling: str | None) -> None:
    metadata = {"general.architecture": "bert", "bert.pooling_type": number}
    assert only_model(write_gguf("m/x.gguf", metadata)).pooling == pooling


def test_an_encoder_has_no_kv_cache(write_gguf: WriteGguf) -> None:
    shape = {"block_count": 4, "attention.head_count": 8, "embedding_length": 512}
    kept = {}
    for architecture in ("bert", "llama"):
        metadata = {"general.architecture": architecture, **{f"{architecture}.{name}": n for name, n in shape.items()}}
        kept[architecture] = only_model(write_gguf(f"{architecture}/x.gguf", metadata)).kv_bytes_per_token
    assert (kept["bert"], bool(kept["llama"])) == (None, True)


def test_kv_bytes_count_keys_and_values_of_every_layer(write_gguf: WriteGguf) -> None:
    shape = {
        "llama.block_count": 4,
        "llama.attention.head_count": 8,
        "llama.attention.head_count_kv": 2,
        "llama.embedding_length": 512,
        "llama.attention.value_length": 32,
    }
    assert only_model(write_gguf("a/x.gguf", shape)).kv_bytes_per_token == 2 * 4 * 2 * (64 + 32)
    hybrid = shape | {"llama.attention.head_count_kv": [2, 0, 1, 0]}
    assert only_model(write_gguf("b/x.gguf", hybrid)).kv_bytes_per_token == 2 * 3 * (64 + 32)
    assert only_model(write_gguf("c/x.gguf")).kv_bytes_per_token is None


def test_sampling_comes_from_the_file_and_generation_config_has_the_last_word(write_gguf: WriteGguf) -> None:
    path = write_gguf("m/x.gguf", {"general.sampling.temp": 0.5, "general.sampling.top_k": 20})
    assert (only_model(path).sampling.temperature, only_model(path).sampling.top_k) == (0.5, 20)
    path.with_name("generation_config.json").write_text('{"temperature": 0.25}')
    assert (only_model(path).sampling.temperature, only_model(path).sampling.top_k) == (0.25, 20)


def test_a_template_beside_the_file_wins(write_gguf: WriteGguf) -> None:
    path = write_gguf("m/x.gguf", {"tokenizer.chat_template": "inside"})
    assert only_model(path).chat_template == "inside"
    path.with_name("chat_template.jinja").write_text("beside")
    assert only_model(path).chat_template == "beside"


def test_a_file_without_vocabulary_is_no_language_model(write_gguf: WriteGguf) -> None:
    spec = only_model(write_gguf("m/x.gguf", {"tokenizer.ggml.tokens": [0]}))
    assert spec.problem is not None
    assert "no vocabulary" in spec.problem


@pytest.mark.parametrize(
    ("stem", "quantization"),
    [
        ("llama-1b-q4_k_m", "Q4_K_M"),
        ("Qwen3-4B-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("model.IQ2_XXS", "IQ2_XXS"),
        ("gpt-oss-20b-MXFP4", "MXFP4"),
        ("bf16", "BF16"),
        ("plain", None),
    ],
)
def test_quantisation_is_read_off_a_name(stem: str, quantization: str | None) -> None:
    assert quantization_in(stem) == quantization


def test_the_bare_name_prefers_what_fits_most_machines() -> None:
    given = [
        "F32",
        "Q2_K",
        "BF16",
        "F16",
        "IQ4_XS",
        "Q4_0",
        "Q5_0",
        "Q8_0",
        "Q6_K",
        "Q5_K_M",
        "Q4_K_S",
        "Q4_K_M",
    ]
    assert sorted(given, key=preference) == [
        *(
            "Q4_K_M",
            "Q4_K_S",
            "Q5_K_M",
            "Q6_K",
            "Q8_0",
            "Q5_0",
            "Q4_0",
            "IQ4_XS",
            "F16",
            "BF16",
            "F32",
            "Q2_K",
        )
    ]


def adapted(write_gguf: WriteGguf, described: object) -> ModelSpec:
    """A model and a LoRA in one folder, with this fluid.json."""
    write_gguf("tales/base.gguf")
    lora = write_gguf("tales/lora.gguf", {"general.type": "adapter"})
    lora.with_name("fluid.json").write_text(json.dumps(described), encoding="utf-8")
    return only_model(lora)


def test_a_lora_that_fluid_json_names_is_laid_over_the_model(write_gguf: WriteGguf) -> None:
    spec = adapted(write_gguf, {"adapters": [{"file": "lora.gguf", "scale": 0.5}]})
    (adapter,) = spec.adapters
    assert (adapter.path.name, adapter.scale, spec.problem) == ("lora.gguf", 0.5, None)
    assert spec.size_bytes == sum(file.stat().st_size for file in spec.files)
    assert {file.name for file in spec.files} == {"base.gguf", "lora.gguf"}


def test_a_fluid_json_that_cannot_be_read_is_the_model_s_problem_and_no_other_s(
    write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, while an editor holds it."""

    def held(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", held)
    assert adapted(write_gguf, {}).problem == "fluid.json cannot be read: permission denied"


def test_a_lora_that_nobody_names_is_left_alone(write_gguf: WriteGguf) -> None:
    assert adapted(write_gguf, {}).adapters == ()


@pytest.mark.parametrize(
    ("adapters", "reason"),
    [
        ("lora.gguf", "not a list"),
        ([{"file": "gone.gguf"}], "not in the folder"),
        (["lora.gguf"], "not in the folder"),
        ([{"file": "base.gguf"}], "no LoRA"),
        ([{"file": "lora.gguf", "scale": -1}], "scale"),
        ([{"file": "lora.gguf", "strength": 1}], "nothing else"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_the_model_s_problem(
    write_gguf: WriteGguf, adapters: object, reason: str
) -> None:
    assert reason in (adapted(write_gguf, {"adapters": adapters}).problem or "")
