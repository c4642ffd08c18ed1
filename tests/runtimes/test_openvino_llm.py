"""What is special about OpenVINO: fields that it has no way to honour, marks, and its vocabulary."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fluid_server.content.stream import TokenDecoder
from fluid_server.errors import EngineFailed, FluidError, InvalidRequest, UnsupportedField
from fluid_server.runtimes import openvino_batching, openvino_llm
from fluid_server.runtimes.openvino_shared import import_genai
from fluid_server.runtimes.openvino_stateful import Stateful
from fluid_server.runtimes.openvino_tokens import Keeping, open_tokenizer
from fluid_server.runtimes.table import create
from fluid_server.runtimes.text import TextRuntime
from fluid_server.shapes import JSONSchema, Regex
from fluid_server.types import Event, GenerateRequest, RuntimeOptions
from tests.runtimes.engines import SPECS, answers, ask, text_of, usage_of

pytest.importorskip("openvino_genai", reason="openvino-genai has no wheel for this platform")
SPEC = SPECS["fluid-tiny-ov"]


@pytest.fixture(scope="module", params=["batching", "stateful"])
def runtime(request: pytest.FixtureRequest) -> Iterator[TextRuntime]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stateful":
            patch.setattr(openvino_llm, "engine_for", lambda device: Stateful)
        made = create("openvino")
        assert isinstance(made, TextRuntime)
        made.load(SPEC, RuntimeOptions(parallel=4), lambda text, done: None)
    yield made
    made.close()


def outcome(runtime: TextRuntime, request: GenerateRequest) -> Event | FluidError:
    (events,) = answers(runtime, request)
    return events[-1]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (ask("hi", logit_bias={5: 1.0}), "logit_bias"),
        (ask("hi", logprobs=3), "top_logprobs"),
        (ask("hi", shape=Regex("a"), ignore_eos=True), "ignore_eos"),
    ],
    ids=["logit_bias", "top_logprobs", "ignore_eos"],
)
def test_what_it_has_no_way_to_do_is_refused_by_name(
    runtime: TextRuntime, request_: GenerateRequest, param: str
) -> None:
    error = outcome(runtime, request_)
    assert isinstance(error, UnsupportedField)
    assert error.param == param
    assert "OpenVINO" in error.message or param == "ignore_eos"


def test_one_request_at_a_time_has_no_log_probabilities(runtime: TextRuntime, request: pytest.FixtureRequest) -> None:
    if "batching" in request.node.callspec.id:
        pytest.skip("the batching pipeline has them: see test_constraints_contract")
    error = outcome(runtime, ask("hi", logprobs=0))
    assert isinstance(error, UnsupportedField)
    assert error.param == "logprobs"


@pytest.mark.parametrize("fast", [True, False], ids=["tokenizers", "openvino"])
def test_marks_stay_in_the_text_and_other_special_tokens_do_not(tmp_path: Path, fast: bool) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SPEC.path, folder, ignore=shutil.ignore_patterns(*([] if fast else ["tokenizer.json"])))
    tokenizer = open_tokenizer(folder, import_genai())
    ids = tokenizer.encode("<|im_start|>a<|im_end|>b<think>", special=False)
    assert Keeping(tokenizer, frozenset({"<|im_start|>"})).decode(ids) == "<|im_start|>ab<think>"
    assert Keeping(tokenizer, None).decode(ids) == "<|im_start|>a<|im_end|>b<think>"
    assert Keeping(tokenizer, frozenset()).decode(ids) == tokenizer.decode(ids) == "ab<think>"


def test_a_grammar_that_is_not_compiled_in_time_ends_its_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_batching, "PATIENCE", -1.0)
    made = create("openvino")
    assert isinstance(made, TextRuntime)
    made.load(SPEC, RuntimeOptions(), lambda text, done: None)
    slow = {"type": "integer", "multipleOf": 97}
    late, free = answers(made, ask("hi", shape=JSONSchema(slow)), ask("What is the capital of France?"))
    assert isinstance(late[-1], InvalidRequest | EngineFailed)
    assert text_of(free) == "The capital of France is Paris."
    monkeypatch.undo()
    assert text_of(answers(made, ask("hi", shape=Regex("yes")))[0]) == "yes"
    made.close()


def test_without_room_for_all_contexts_prefixes_are_not_cached() -> None:
    made = create("openvino")
    assert isinstance(made, TextRuntime)
    made.load(replace(SPEC, context_length=1024), RuntimeOptions(kv_budget_bytes=2**20), lambda text, done: None)
    request = GenerateRequest(tokens=tuple(range(100, 200)), max_tokens=2)
    assert [usage_of(answers(made, request)[0]).cached_tokens for _ in range(2)] == [0, 0]
    made.close()


@pytest.mark.parametrize("marks", [frozenset(), frozenset({"<|im_start|>"}), None])
def test_tokens_looked_up_alone_say_what_decoding_them_together_says(marks: frozenset[str] | None) -> None:
    tokenizer = open_tokenizer(SPEC.path, import_genai())
    kept = Keeping(tokenizer, marks)
    chance = random.Random(11)
    known = 0
    for _ in range(200):
        ids = [chance.randrange(2048) if chance.random() < 0.7 else chance.randrange(3, 259) for _ in range(50)]
        decoder = TokenDecoder(kept, kept.alone)
        text = "".join([decoder.feed([token]) for token in ids]) + decoder.flush()
        assert text.rstrip("\ufffd") == kept.decode(ids).rstrip("\ufffd")
        known += sum(kept.alone(token) is not None for token in ids)
    assert known > 4000
