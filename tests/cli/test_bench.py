"""fluid-server bench against our own server, with each engine."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import ON_A_TERMINAL, Terminal, refused, told, well
from tests.front_door import ECHO, GGUF, OPENVINO, RunningServer, until

FEW = ("--requests", "4", "--concurrency", "1,2", "--max-tokens", "16", "--prompt-tokens", "100")


def measured(model: str, *flags: str, folder: Path) -> dict[str, Any]:
    """The JSON of a measurement that goes well."""
    record: dict[str, Any] = json.loads(well("bench", model, *FEW, "--json", "-", *flags, folder=folder))
    return record


@pytest.mark.parametrize("model", [ECHO, OPENVINO, GGUF])
def test_each_engine_is_measured(served: Path, model: str) -> None:
    record = measured(model, folder=served)
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
def test_a_shared_beginning_is_computed_once_and_others_are_not(served: Path, model: str) -> None:
    """llama.cpp and OpenVINO keep prefixes; the share that the server tells is what the figures are worth."""
    long = ("--prompt-tokens", "400", "--concurrency", "1", "--max-tokens", "4")
    (apart,) = measured(model, *long, folder=served)["runs"]
    (shared,) = measured(model, *long, "--shared-prefix", folder=served)["runs"]
    assert apart["cached_share"] < 0.1
    assert shared["cached_share"] > 0.5


def test_text_completions_and_further_fields(served: Path) -> None:
    flags = ("--completions", "--no-ignore-eos", "--body", '{"stop": ["\\n"]}', "--seed", "3", "--runs", "2")
    record = measured(ECHO, *flags, folder=served)
    assert (record["load"]["path"], record["load"]["seed"], record["load"]["body"]) == (
        "/completions",
        3,
        {"stop": ["\n"]},
    )
    assert [(one["run"], one["streams"]) for one in record["runs"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    over = record["over_runs"]["2"]["tokens_per_second"]
    assert 0 < over["min"] <= over["median"] <= over["max"]


def test_people_get_a_table_with_bars_and_machines_a_file(served: Path) -> None:
    shown = well("bench", ECHO, *FEW, "--csv", "bench.csv", "--json", "bench.json", folder=served)
    assert shown.startswith("echo · echo on CPU · http://127.0.0.1:")
    assert "█" in shown
    assert "time to first token" in shown
    assert "all different, so that no prefix cache helps" in shown
    with (served / "bench.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["streams"], row["answers"], row["failed"]) for row in rows] == [("1", "4", "0"), ("2", "4", "0")]
    runs = json.loads((served / "bench.json").read_text(encoding="utf-8"))["runs"]
    assert [float(row["ttft_ms_p99"]) for row in rows] == [one["ttft_ms"]["p99"] for one in runs]


def test_for_a_time_every_stream_ends_one_answer_and_the_rest_is_cut(served: Path) -> None:
    flags = ("--duration", "0.001", "--concurrency", "3", "--max-tokens", "200", "--prompt-tokens", "50")
    (one,) = json.loads(well("bench", OPENVINO, *flags, "--json", "-", folder=served))["runs"]
    assert one["answers"] >= 3
    assert one["cut"] <= 3
    assert told("ps", folder=served)[0]["leases"] == 0 or until(lambda: not told("ps", folder=served)[0]["leases"])


def test_what_cannot_be_measured_is_told_before_it_is_tried(served: Path) -> None:
    assert "There is no model 'nope'" in refused("bench", "nope", folder=served)
    assert "has a context of 2048 tokens" in refused("bench", OPENVINO, "--max-tokens", "2000", folder=served)


def test_a_key_is_needed_where_the_server_wants_one(tmp_path: Path) -> None:
    server = RunningServer.start("--echo", "--no-warm-up", folder=tmp_path, env={"FLUID_API_KEY": "sesame"})
    try:
        at = ("bench", ECHO, "--base-url", server.base_url, *FEW)
        assert "wants an API key" in refused(*at, folder=tmp_path)
        assert "does not take the API key" in refused(*at, "--api-key", "wrong", folder=tmp_path)
        assert "echo · " in well(*at, folder=tmp_path, env={"FLUID_API_KEY": "sesame"})
    finally:
        server.stop()


@ON_A_TERMINAL
def test_a_terminal_is_told_how_far_it_is(served: Path) -> None:
    terminal = Terminal("bench", ECHO, "--duration", "1", "--concurrency", "2", folder=served)
    terminal.wait_for("2 at a time: ")
    terminal.wait_for("pieces of text/s")
    terminal.wait_for("TOKENS/S")
    assert terminal.end() == 0
