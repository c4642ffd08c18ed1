"""fluid-server list: the models of the models folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fluid_server.cli.list import size, table
from fluid_server.cli.main import main
from tests.front_door import ECHO, LANGUAGE_MODELS, MODELS, WHISPER

ALL = [*LANGUAGE_MODELS, WHISPER]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A models folder with one model that is none."""
    folder = tmp_path / "models" / "llm" / "broken"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"no gguf")
    return tmp_path / "models"


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--model-path", str(MODELS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "KIND", "FORMAT", "QUANT", "CONTEXT", "SIZE"]
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(ALL)
    assert lines[1].split() == ["fluid-tiny-gguf:F16", "text", "gguf", "F16", "2048", "4.0", "MB"]


def test_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", "--model-path", str(MODELS)]) == 0
    entries = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) == set(ALL)
    assert entries[WHISPER]["kind"] == "transcription"
    assert Path(entries[WHISPER]["path"]).is_dir()
    assert entries["fluid-tiny-gguf:Q8_0"]["aliases"] == ["fluid-tiny-gguf"]


def test_echo_is_listed_where_it_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", "--echo", "--model-path", str(MODELS)]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["id"] == ECHO


def test_a_broken_model_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str], broken: Path) -> None:
    assert main(["list", "--model-path", str(broken)]) == 0
    assert "broken: " in capsys.readouterr().out
    assert main(["list", "--json", "--model-path", str(broken)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["problem"]


@pytest.mark.parametrize("as_json", [False, True])
def test_no_models_is_no_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool) -> None:
    assert main(["list", "--model-path", str(tmp_path / "none"), *(["--json"] if as_json else [])]) == 0
    out, err = capsys.readouterr()
    assert out == ("[]\n" if as_json else "")
    assert ("--model-path" in err) is not as_json


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (4_002_816, "4.0 MB"), (7 * 10**12, "7000.0 GB")]
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size(count) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("A", "B"), ("long", "x"), ("é", "")]) == "A     B\nlong  x\né"
