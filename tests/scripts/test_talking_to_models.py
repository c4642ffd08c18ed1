"""scripts/test_with_models.py: what it asks of whom, and what it says of the answers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fluid_server.types import Ability
from scripts import test_with_models
from scripts.test_with_models import QUESTIONS, Result, table_of
from tests.front_door import ECHO, OPENVINO, WHISPER, RunningServer


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = test_with_models.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_there_is_a_question_for_abilities_that_exist() -> None:
    assert set(QUESTIONS) <= {str(ability) for ability in Ability}


@pytest.mark.parametrize("model", [OPENVINO, WHISPER])
def test_a_model_is_asked_for_all_that_it_can(
    server: RunningServer, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    code, out, _ = said(capsys, "--base-url", server.base_url, "--model", model)
    assert code == 0
    asked = ["chat", "chat, streamed", "completion"] if model == OPENVINO else ["transcription"]
    assert all(f"  {model}, {one}: ok\n" in out for one in asked)
    assert f"{len(asked)} of {len(asked)} questions were answered." in out
    assert "Paris" in out or "capital" in out


def test_a_name_that_nobody_has_is_told(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "--base-url", server.base_url, "--model", "nobody", "--model", ECHO)
    assert code == 2
    assert "There is no model nobody." in err
    assert "3 of 3 questions were answered." in out


def test_where_nothing_was_asked_there_is_no_empty_table(
    server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "--base-url", server.base_url, "--model", "nobody")
    assert code == 2
    assert out == "0 of 0 questions were answered.\n"
    assert OPENVINO in err


def test_a_server_that_does_not_run_is_told_by_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "--base-url", "http://127.0.0.1:1/v1")
    assert code == 1
    assert "Nothing answers at http://127.0.0.1:1/v1." in err


def test_an_answer_in_brackets_is_shown_as_it_is() -> None:
    shown = io.StringIO()
    Console(width=120, file=shown).print(table_of([Result("some[model]", "chat", "[/INST] Paris [bold]", 1.0)]))
    assert "some[model]" in shown.getvalue()
    assert "[/INST] Paris [bold]" in shown.getvalue()


def test_a_model_that_is_broken_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "llm" / "broken"
    broken.mkdir(parents=True)
    (broken / "broken.gguf").write_bytes(b"GGUF")
    server = RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path)
    try:
        code, out, _ = said(capsys, "--base-url", server.base_url)
    finally:
        server.stop()
    assert code == 1
    assert "failed" in out
    assert "0 of 1 questions were answered." in out


def test_a_server_that_runs_already_takes_no_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        test_with_models.main(["--base-url", "http://127.0.0.1:1/v1", "--device", "CPU"])
    assert left.value.code == 2
    assert "--device CPU" in capsys.readouterr().err


def test_a_failure_is_told_whole_and_an_answer_shortened() -> None:
    table = table_of([Result("m", "chat", "x" * 99, 1.0), Result("m", "chat", "y" * 99, 1.0, failed=True)])
    answers = [str(cell) for cell in table.columns[-1].cells]
    assert answers == ["x" * 47 + "…", "y" * 99]
