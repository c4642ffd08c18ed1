"""fluid-server list: the models that are here, and those that can be fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fluid_server.catalog.presets import PRESETS
from fluid_server.cli.main import main
from tests.cli.program import ON_A_TERMINAL, WINDOWS, Terminal, started, told, well
from tests.front_door import ECHO, LANGUAGE_MODELS, PATIENCE, QNN_WHISPER, WHISPER

ALL = [*LANGUAGE_MODELS, WHISPER, QNN_WHISPER]


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


def test_a_table_for_people(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    assert main(["list", "--model-path", str(models)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "KIND", "FORMAT", "QUANT", "CONTEXT", "SIZE", "STATE"]
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(ALL)
    assert lines[1].split() == ["fluid-tiny-gguf:F16", "text", "gguf", "F16", "2048", "4.0", "MB", "-"]


def test_json_for_machines(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    assert main(["list", "--json", "--model-path", str(models)]) == 0
    entries = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) == set(ALL)
    assert entries[WHISPER]["kind"] == "transcription"
    assert Path(entries[WHISPER]["path"]).is_dir()
    assert entries["fluid-tiny-gguf:Q8_0"]["aliases"] == ["fluid-tiny-gguf"]


def test_echo_is_listed_where_it_is_offered(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    assert main(["list", "--json", "--echo", "--model-path", str(models)]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["id"] == ECHO


def test_a_broken_model_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str], broken: Path) -> None:
    assert main(["list", "--json", "--model-path", str(broken)]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["state"] == "broken"
    assert main(["list", "--model-path", str(broken)]) == 0
    assert f"broken  {entry['problem']}" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_no_models_is_no_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool) -> None:
    assert main(["list", "--model-path", str(tmp_path / "none"), *(["--json"] if as_json else [])]) == 0
    out, err = capsys.readouterr()
    assert out == ("[]\n" if as_json else "")
    assert ("fluid-server pull" in err) is not as_json


def test_a_running_server_tells_what_its_models_do(served: Path) -> None:
    well("load", ECHO, folder=served)
    shown = well("list", folder=served).splitlines()
    states = {line.split()[0]: line.split()[-4:] for line in shown[1:]}
    assert states[ECHO] == ["ready", "echo", "on", "CPU"]
    assert states[WHISPER][-1] == "-"
    entries = {entry["id"]: entry for entry in told("list", folder=served)}
    assert entries[ECHO]["state"] == "ready"


def test_what_can_be_fetched_and_whether_it_runs_here(tmp_path: Path) -> None:
    entries = {entry["alias"]: entry for entry in told("list", "--available", folder=tmp_path)}
    assert set(entries) == {preset.alias for preset in PRESETS}
    small = entries["qwen3-0.6b"]
    assert small["runs_with"] == [{"runtime": "llamacpp", "device": "CPU"}]
    assert small["licence"] == "Apache-2.0"
    assert small["size_bytes"] < small["memory_bytes"]
    assert small["model"] is None
    assert entries["stable-diffusion-1.5"]["problem"]


def test_what_is_here_of_what_can_be_fetched(tmp_path: Path, models: Path) -> None:
    (models / "OpenVINO").mkdir()
    (models / "whisper" / WHISPER).rename(models / "OpenVINO" / "whisper-tiny-int8-ov")
    shown = well("list", "--available", folder=tmp_path).splitlines()
    rows = {line.split()[0]: line for line in shown if line}
    assert "is here" in rows["whisper-tiny"]
    assert "no runtime yet" in rows["flux.1-schnell"]
    assert "fluid-server pull" in shown[-1]


@pytest.mark.skipif(WINDOWS, reason="Windows says in another way that nobody reads")
def test_nobody_minds_who_stops_reading(models: Path) -> None:
    with started("list", "--available", folder=models.parent) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == ""
        assert listing.wait(PATIENCE) == 1


@ON_A_TERMINAL
def test_what_can_be_fetched_on_a_narrow_terminal(tmp_path: Path) -> None:
    terminal = Terminal("list", "--available", folder=tmp_path, env={"COLUMNS": "60"})
    assert terminal.end() == 0
    lines = terminal.shown.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].split()[:2] == ["NAME", "HERE"]
    assert terminal.shown.split()[-3:] == ["fluid-server", "pull", "NAME"]
