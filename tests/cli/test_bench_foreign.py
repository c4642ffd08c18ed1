"""fluid-server bench against servers that are not ours, and what a person can type wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.foreign import WORDS, Foreign
from tests.cli.program import CTRL_C, InProcess, interrupted, started
from tests.front_door import ECHO, RunningServer, until

FEW = ("--requests", "4", "--concurrency", "1,2", "--max-tokens", "16", "--prompt-tokens", "100")


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with Foreign() as server:
        yield server


@pytest.fixture
def fresh() -> Iterator[Foreign]:
    """One that has not been asked before: the first requests to it go well, whatever the model does later."""
    with Foreign() as server:
        yield server


def test_another_server_is_measured_as_it_is(foreign: Foreign, verb: InProcess) -> None:
    code, out, _ = verb("bench", "any", "--base-url", foreign.url, *FEW, "--json", "-", "--api-key", "its key")
    record = json.loads(out)
    assert (code, record["server"]["server_header"]) == (0, "uvicorn")
    assert [one["answer_tokens"]["p50"] for one in record["runs"]] == [2 * WORDS, 2 * WORDS]
    assert "Bearer its key" in foreign.keys
    assert not any("ignore_eos" in body for body in foreign.asked)


def test_answers_that_end_early_are_told(foreign: Foreign, verb: InProcess) -> None:
    code, out, _ = verb("bench", "any", "--base-url", foreign.url, *FEW)
    assert code == 0
    assert "Some answers ended before --max-tokens 16: 10 tokens at least" in out


def test_a_server_that_counts_no_tokens_is_measured_in_chunks_and_that_is_said(
    foreign: Foreign, verb: InProcess
) -> None:
    code, out, _ = verb("bench", "silent on usage", "--base-url", foreign.url, *FEW, "--json", "told.json")
    assert code == 0
    assert "these are chunks, not tokens" in out
    record = json.loads(Path("told.json").read_text(encoding="utf-8"))
    assert record["server"]["counts_tokens"] is False
    assert record["runs"][0]["answer_tokens"]["max"] == WORDS


@pytest.mark.parametrize(("model", "field"), [("picky", "stream_options"), ("modern", "max_tokens")])
def test_a_field_that_a_server_does_not_take_is_left_out(
    foreign: Foreign, verb: InProcess, model: str, field: str
) -> None:
    assert verb("bench", model, "--base-url", foreign.url, *FEW)[0] == 0
    asked = [body for body in foreign.asked if body["model"] == model]
    assert field in asked[0]
    assert not any(field in body for body in asked[1:])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("locked", "wants an API key: Who are you? Set FLUID_API_KEY"),
        ("absent", "has no model 'absent', or nothing at /v1/chat/completions: no such model"),
        ("whole", "cannot be measured: no stream"),
    ],
)
def test_why_a_server_cannot_be_measured_is_told(foreign: Foreign, verb: InProcess, model: str, says: str) -> None:
    code, out, err = verb("bench", model, "--base-url", foreign.url)
    assert (code, out) == (1, "")
    assert says in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("cuts", "connection cut"),
        ("breaks", "error in the stream: The engine fell over."),
        ("crowded", "429 rate_limit_exceeded"),
    ],
)
def test_what_fails_is_counted_by_its_kind(fresh: Foreign, verb: InProcess, model: str, kind: str) -> None:
    flags = ("--requests", "2", "--concurrency", "2", "--json", "told.json")
    code, out, _ = verb("bench", model, "--base-url", fresh.url, *flags)
    assert code == 1
    assert f"! 2 at 2 streams failed: {kind}" in out
    (one,) = json.loads(Path("told.json").read_text(encoding="utf-8"))["runs"]
    assert (one["failed"], one["answers"], one["ttft_ms"]) == ({kind: 2}, 0, None)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--base-url", "http://127.0.0.1:9"), "no connection (refused)"),
        (("--base-url", "http://x", "--port", "1"), "leave --host and --port out"),
        (("--json", "no/where.json"), "there is no folder"),
        (("--json", "-", "--csv", "-"), "Only one of --json and --csv"),
        (("--model-path", "none"), "No server runs. Start one with: fluid-server --model-path none"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(verb: InProcess, flags: tuple[str, ...], named: str) -> None:
    code, out, err = verb("bench", "m", *flags)
    assert (code, out) == (1, "")
    assert named in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--concurrency", "1,0"), "'0' is no number above 0"),
        (("--concurrency", "1,"), "'' is no number above 0"),
        (("--duration", "nan"), "'nan' is no number above 0"),
        (("--requests", "-1"), "'-1' is no number above 0"),
        (("--requests", "1", "--duration", "1"), "not allowed with"),
        (("--body", "[1]"), "a JSON object is needed"),
        (("--body", "{"), "no JSON"),
    ],
)
def test_wrong_usage_is_named(verb: InProcess, flags: tuple[str, ...], named: str) -> None:
    code, out, err = verb("bench", "m", *flags)
    assert (code, out) == (2, "")
    assert named in err


def test_a_key_is_needed_where_the_server_wants_one(tmp_path: Path, verb: InProcess) -> None:
    server = RunningServer.start("--echo", "--no-warm-up", folder=tmp_path, env={"FLUID_API_KEY": "sesame"})
    try:
        at = ("bench", ECHO, "--base-url", server.base_url, *FEW)
        assert "wants an API key" in verb(*at)[2]
        assert "does not take the API key" in verb(*at, "--api-key", "wrong")[2]
        os.environ["FLUID_API_KEY"] = "sesame"  # of this test's own environment
        assert verb(*at)[0] == 0
    finally:
        server.stop()


@CTRL_C
def test_ctrl_c_shows_what_was_measured_until_then(foreign: Foreign, tmp_path: Path) -> None:
    before = len(foreign.asked)
    flags = ("--duration", "600", "--concurrency", "2,4", "--json", "bench.json")
    with started("bench", "any", "--base-url", foreign.url, *flags, folder=tmp_path) as bench:
        until(lambda: len(foreign.asked) > before + 20)
        code, out, err = interrupted(bench)
    assert code == 130
    assert "Traceback" not in err
    assert "Ended by Ctrl-C" in out
    record = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert record["complete"] is False
    assert [one["streams"] for one in record["runs"]] == [2]
    assert record["runs"][0]["answers"] > 0
