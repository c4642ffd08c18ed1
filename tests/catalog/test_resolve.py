"""Names that clients use, and the models they mean."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fluid_server.catalog.resolve import meant, resolve
from fluid_server.errors import ModelFailed, ModelNotFound
from fluid_server.types import Format, Kind, ModelSpec

ROOT = Path("/srv/models")


def gguf(name: str, *aliases: str, quantization: str, file: str) -> ModelSpec:
    path = ROOT / file
    return ModelSpec(
        id=name,
        aliases=aliases,
        format=Format.GGUF,
        kind=Kind.TEXT,
        path=path,
        files=(path,),
        quantization=quantization,
    )


SPECS = (
    ModelSpec(id="Qwen3-8B-ov", format=Format.OPENVINO, kind=Kind.TEXT, path=ROOT / "llm/Qwen3-8B-ov"),
    ModelSpec(
        id="broken",
        format=Format.OPENVINO,
        kind=Kind.TEXT,
        path=ROOT / "llm/broken",
        problem="openvino_model.bin is missing: download the model again",
    ),
    gguf("repo:F16", "owner/repo:F16", quantization="F16", file="owner/repo/x-F16.gguf"),
    gguf("repo:Q8_0", "owner/repo", "repo", quantization="Q8_0", file="owner/repo/x-Q8_0.gguf"),
    gguf("single", "owner/single", quantization="Q4_K_M", file="owner/single/s.gguf"),
    ModelSpec(id="tagged:latest", format=Format.GGUF, kind=Kind.TEXT, path=ROOT / "t.gguf"),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen3-8B-ov", "Qwen3-8B-ov"),
        ("qwen3-8b-OV", "Qwen3-8B-ov"),
        ("Qwen3-8B-ov:latest", "Qwen3-8B-ov"),
        ("tagged:latest", "tagged:latest"),
        ("repo", "repo:Q8_0"),
        ("repo:latest", "repo:Q8_0"),
        ("Owner/Repo", "repo:Q8_0"),
        ("owner/repo:F16", "repo:F16"),
        ("owner/repo:q8_0", "repo:Q8_0"),
        ("owner/single:Q4_K_M", "single"),
        ("single:q4_k_m", "single"),
        ("owner/repo/x-F16.gguf", "repo:F16"),
        ("repo/x-q8_0.gguf", "repo:Q8_0"),
        ("s.gguf", "single"),
    ],
)
def test_a_model_answers_to_all_its_names(name: str, expected: str) -> None:
    assert resolve(SPECS, name).id == expected


def test_an_exact_name_goes_before_one_in_another_case() -> None:
    lower, upper = (ModelSpec(id=name, format=Format.GGUF, kind=Kind.TEXT, path=ROOT) for name in ("m", "M"))
    assert resolve((lower, upper), "M") is upper
    assert resolve((upper, lower), "m") is lower


def test_an_exact_alias_goes_before_an_id_in_another_case() -> None:
    loud = gguf("REPO", quantization="F16", file="loud.gguf")
    assert resolve((loud, *SPECS), "repo").id == "repo:Q8_0"


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve(SPECS, "qwen3-8b")
    assert caught.value.param == "model"
    assert "There is no model 'qwen3-8b'. Did you mean 'Qwen3-8B-ov'?" in caught.value.message
    assert "GET" not in caught.value.message
    assert "'fluid-server list'" in caught.value.message


def test_at_most_three_close_names_are_offered() -> None:
    many = [gguf(f"model-{n}", quantization="F16", file=f"{n}.gguf") for n in range(9)]
    with pytest.raises(ModelNotFound) as caught:
        resolve(many, "model-x")
    assert caught.value.message.count("'model-") == 1 + 3


@pytest.mark.parametrize("name", ["gpt-4o", "", "single:Q8_0", ":", ":latest", "/"])
def test_nothing_close_means_no_guess(name: str) -> None:
    with pytest.raises(ModelNotFound, match=r"list' shows what is there"):
        resolve(SPECS, name)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc",
        "../../etc/passwd",
        "/srv/models/owner/repo/x-F16.gguf",
        "../repo/x-F16.gguf",
        "repo/../repo/x-F16.gguf",
        "llm/Qwen3-8B-ov/../../x",
        "C:\\models\\x.gguf",
    ],
)
def test_a_name_is_never_a_path(name: str) -> None:
    with pytest.raises(ModelNotFound):
        resolve(SPECS, name)


def test_control_letters_do_not_reach_the_message() -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve(SPECS, "a\0b\nc\x1b[31m\ud800")
    assert "'a?b?c?[31m?'" in caught.value.message


def test_a_very_long_name_is_refused_at_once_and_shortened() -> None:
    start = time.perf_counter()
    with pytest.raises(ModelNotFound) as caught:
        resolve(SPECS, "Qwen3-" * 1_000_000)
    assert time.perf_counter() - start < 1
    assert len(caught.value.message) < 400


def test_a_broken_model_says_what_is_wrong() -> None:
    with pytest.raises(ModelFailed) as caught:
        resolve(SPECS, "broken")
    assert caught.value.message == (
        "Model 'broken' cannot be used: openvino_model.bin is missing: download the model again."
    )
    assert (caught.value.param, caught.value.retry_after) == ("model", None)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("repo", ["repo:F16", "repo:Q8_0"]),
        ("Owner/Repo:latest", ["repo:F16", "repo:Q8_0"]),
        ("repo:F16", []),
        ("owner/repo:F16", []),
        ("single", []),
        ("owner/single", ["single"]),
        ("nope", []),
    ],
)
def test_what_a_name_without_a_quantisation_may_mean(name: str, ids: list[str]) -> None:
    assert [spec.id for spec in meant(SPECS, name)] == ids
