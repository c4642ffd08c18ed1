"""scripts/conformance.py as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import conformance
from scripts.contract.case import Outcome
from scripts.contract.scoring import load
from tests.front_door import ECHO, RunningServer

NOBODY = "http://127.0.0.1:9/v1"  # the discard port: nothing listens there


def test_verdicts_are_shown_kept_and_compared(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, page = tmp_path / "a.json", tmp_path / "a.md"
    asked = ["--base-url", server.base_url, "--model", ECHO, "--only", "^n of "]
    assert conformance.main([*asked, "--title", "First", "--json", str(kept)]) == 0
    assert {verdict.outcome for verdict in load(kept).verdicts} == {Outcome.HONOURED, Outcome.BY_NAME}
    assert conformance.main([*asked, "--title", "Second", "--markdown", str(page), "--compare", str(kept)]) == 0
    told = capsys.readouterr().out
    assert "n of one" in told
    assert "score" in told
    assert "| n of one | one choice | honoured | honoured |" in page.read_text(encoding="utf-8")


def test_a_server_that_is_not_there_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--base-url", NOBODY, "--model", "a", "--only", "^n of one$"]) == 1
    assert "no answer" in capsys.readouterr().out


def test_a_server_without_models_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="name one with --model"):
        conformance.main(["--base-url", NOBODY])


@pytest.mark.parametrize("given", [[], ["--own", "--base-url", NOBODY]])
def test_one_thing_is_tried(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        conformance.main(given)
    assert "give either --base-url or --own" in capsys.readouterr().err
