"""How embedding models say that the vectors of their tokens become one, and how much they read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog import openvino
from fluid_server.catalog.folder import look
from fluid_server.types import Kind, ModelSpec

WriteIr = Callable[..., Path]
MODULES = "sentence_transformers.models."
NETWORK, POOLING = {"type": f"{MODULES}Transformer"}, {"type": f"{MODULES}Pooling"}


def found(path: Path) -> ModelSpec:
    (spec,) = openvino.recognise(look(path))
    return spec


@pytest.fixture
def model(write_ir: WriteIr) -> Path:
    return write_ir("m", "openvino_model", inputs=["input_ids"], outputs=["last_hidden_state"])


def write(path: Path, name: str, content: object) -> None:
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
    ],
)
def test_sentence_transformers_says_it_in_several_ways(model: Path, config: dict[str, Any], pooling: str) -> None:
    write(model, "1_Pooling/config.json", config)
    assert (found(model).pooling, found(model).problem) == (pooling, None)


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"pooling_mode_max_tokens": True}, "max_tokens"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls and mean"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({}, "none"),
    ],
)
def test_a_way_that_no_runtime_has_is_a_problem(model: Path, config: dict[str, Any], shown: str) -> None:
    write(model, "config.json", {"architectures": ["BertModel"]})
    write(model, "1_Pooling/config.json", config)
    spec = found(model)
    assert spec.kind is Kind.EMBEDDING
    assert shown in str(spec.problem)


def test_where_nothing_is_said_nothing_is_made_up(model: Path) -> None:
    assert (found(model).pooling, found(model).problem) == (None, None)


def test_our_own_file_has_the_last_word(model: Path) -> None:
    write(model, "1_Pooling/config.json", {"pooling_mode": "weightedmean"})
    write(model, "fluid.json", {"pooling": "mean"})
    assert (found(model).pooling, found(model).problem) == ("mean", None)
    write(model, "fluid.json", {"pooling": "max"})
    assert "mean, cls, last" in str(found(model).problem)


def test_modules_that_are_computed_here_are_no_problem(model: Path) -> None:
    write(model, "modules.json", [NETWORK, POOLING, {"type": f"{MODULES}Normalize"}])
    assert found(model).problem is None


def test_a_module_behind_the_pooling_is_a_problem_unless_the_graph_has_it_inside(
    model: Path, write_ir: WriteIr
) -> None:
    modules = [NETWORK, POOLING, {"type": f"{MODULES}Dense"}]
    write(model, "modules.json", modules)
    assert "Dense" in str(found(model).problem)
    whole = write_ir("w", "openvino_model", inputs=["input_ids"], outputs=["token_embeddings", "sentence_embedding"])
    write(whole, "modules.json", modules)
    assert (found(whole).kind, found(whole).problem) == (Kind.EMBEDDING, None)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_modules_that_are_no_json_are_a_problem(model: Path, text: str) -> None:
    (model / "modules.json").write_text(text, encoding="utf-8")
    assert "modules.json" in str(found(model).problem)


@pytest.mark.parametrize(
    ("config", "tokenizer", "context"),
    [
        ({"max_position_embeddings": 512}, {}, 512),
        ({"max_position_embeddings": 512}, {"model_max_length": 256}, 256),
        ({"max_position_embeddings": 512}, {"model_max_length": 10**30}, 512),
        ({"max_position_embeddings": 514, "model_type": "xlm-roberta", "pad_token_id": 1}, {}, 512),
        ({"max_position_embeddings": 514, "model_type": "mpnet", "pad_token_id": 1}, {}, 512),
        ({}, {"model_max_length": 300}, 300),
        ({}, {}, None),
    ],
)
def test_a_model_reads_the_fewest_tokens_that_its_files_say(
    model: Path, config: dict[str, Any], tokenizer: dict[str, Any], context: int | None
) -> None:
    write(model, "config.json", config)
    write(model, "tokenizer_config.json", tokenizer)
    assert found(model).context_length == context
