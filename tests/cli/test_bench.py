"""fluid-server bench against our own server, with each engine."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import ON_A_TERMINAL, InProcess, Terminal, told
from tests.front_door import ECHO, GGUF, OPENVINO, until

FEW = ("--requests", "4", "--concurrency", "1,2", "--max-tokens", "16", "--prompt-tokens", "100", "--seed", "1")
Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def here(served: Path) -> tuple[str, str]:
    """How the server is found."""
    return "--model-path", str(served / "models")


@pytest.fixture
def measured(verb: InProcess, here: tuple[str, str]) -> Measure:
    """The JSON of a measurement that goes well."""

    def measure(model: str, *flags: str) -> dict[str, Any]:
        code, out, err = verb("bench", model, *here, "--json", "-", *flags)
        assert code == 0, err
        record: dict[str, Any] = json.loads(out)
        return record

    return measure


@pytest.mark.parametrize("model", [ECHO, OPENVINO, GGUF])
def test_each_engine_is_measured(measured: Measure, model: str) -> None:
    record = measured(model, *FEW)
    assert record["complete"] is True
    assert (record["server"]["name"], record["model"]["id"]) == ("Fluid Server", model)
    assert [(one["streams"], one["answers"], one["failed"]) for one in record["runs"]] == [(1, 4, {}), (2, 4, {})]
    for one in record["runs"]:
        assert one["answer_tokens"]["min"] == one["answer_tokens"]["max"] == 16
        assert one["prompt_tokens"]["mean"] == pytest.approx(100, rel=0.15)
        assert 0 < one["ttft_ms"]["p50"] < one["latency_ms"]["p50"]
        assert one["tokens_per_second"] == pytest.approx(4 * 16 / one["seconds"], rel=0.01)
        assert one["client_cpu"] > 0


@pytest.mark.parametrize("model", [OPENVINO, GGUF])
def test_a_shared_beginning_is_computed_once_and_others_are_not(measured: Measure, model: str) -> None:
    few = ("--requests", "4", "--concurrency", "1", "--max-tokens", "4", "--prompt-tokens", "400")
    (apart,) = measured(model, *few)["runs"]
    (shared,) = measured(model, *few, "--shared-prefix")["runs"]
    assert apart["cached_share"] < 0.1
    assert shared["cached_share"] > 0.5


def test_text_completions_and_further_fields(measured: Measure) -> None:
    flags = ("--completions", "--no-ignore-eos", "--body", '{"stop": ["\\n"]}', "--seed", "3", "--runs", "2")
    record = measured(ECHO, *FEW, *flags)
    load = record["load"]
    assert (load["path"], load["seed"], load["body"]) == ("/completions", 3, {"stop": ["\n"]})
    assert [(one["run"], one["streams"]) for one in record["runs"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    over = record["over_runs"]["2"]["tokens_per_second"]
    assert 0 < over["min"] <= over["median"] <= over["max"]


def test_people_get_a_table_with_bars_and_machines_a_file(verb: InProcess, here: tuple[str, str]) -> None:
    code, shown, _ = verb("bench", ECHO, *here, *FEW, "--csv", "bench.csv", "--json", "bench.json")
    assert code == 0
    assert shown.startswith("echo · echo on CPU · http://127.0.0.1:")
    assert all(words in shown for words in ("█", "time to first token", "all different, so that no prefix cache helps"))
    with Path("bench.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["streams"], row["answers"], row["failed"]) for row in rows] == [("1", "4", "0"), ("2", "4", "0")]
    runs = json.loads(Path("bench.json").read_text(encoding="utf-8"))["runs"]
    assert [float(row["ttft_ms_p99"]) for row in rows] == [one["ttft_ms"]["p99"] for one in runs]


def test_for_a_time_every_stream_ends_one_answer_and_the_rest_is_cut(measured: Measure, served: Path) -> None:
    flags = ("--duration", "0.001", "--concurrency", "3", "--max-tokens", "200", "--prompt-tokens", "50")
    (one,) = measured(OPENVINO, *flags)["runs"]
    assert one["answers"] >= 3
    assert one["cut"] <= 3
    until(lambda: not any(model["leases"] for model in told("ps", folder=served)))


def test_what_cannot_be_measured_is_told_before_it_is_tried(verb: InProcess, here: tuple[str, str]) -> None:
    code, _, err = verb("bench", "nope", *here)
    assert (code, err.splitlines()[-1][:40]) == (1, "fluid-server: There is no model 'nope'. ")
    assert "has a context of 2048 tokens" in verb("bench", OPENVINO, *here, "--max-tokens", "2000")[2]


@ON_A_TERMINAL
def test_a_terminal_is_told_how_far_it_is(served: Path) -> None:
    terminal = Terminal("bench", ECHO, "--duration", "1", "--concurrency", "2", folder=served)
    terminal.wait_for("2 at a time: ")
    terminal.wait_for("pieces of text/s")
    terminal.wait_for("TOKENS/S")
    assert terminal.end() == 0
