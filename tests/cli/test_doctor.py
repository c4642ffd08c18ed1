"""fluid-server doctor: what runs here, and why not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluid_server.cli import doctor
from fluid_server.cli.main import main
from fluid_server.config import load_config
from fluid_server.workers.probe import Report
from tests.front_door import GGUF, MODELS, OPENVINO, QNN_WHISPER, WHISPER


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def findings(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json", *flags])
    return code, {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_all_is_well_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "--model-path", str(MODELS), "--port", "0")
    assert code == 0
    assert {"machine", "port", "disk", "worker process", "runtime openvino", "runtime llamacpp"} <= set(found)
    assert found[f"model {OPENVINO}"]["says"] == "openvino on CPU"
    assert found[f"model {GGUF}"]["says"] == "llamacpp on CPU"
    assert found[f"model {WHISPER}"]["says"] == "openvino-whisper on CPU"
    assert found[f"model {QNN_WHISPER}"]["says"] == "qnn-whisper on CPU"
    assert "(no NPU: this machine has no Qualcomm chip)" in found["runtime qnn-whisper"]["says"]
    assert found["worker process"]["state"] == "ok"


def test_what_is_amiss_is_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path, taken: int) -> None:
    folder = tmp_path / "models" / "llm" / "broken"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"no gguf")
    code, found = findings(capsys, "--model-path", str(tmp_path / "models"), "--port", str(taken))
    assert code == 0
    assert found["port"]["state"] == "warning"
    assert str(taken) in found["port"]["says"]
    broken = next(finding for what, finding in found.items() if what.startswith("model "))
    assert broken["state"] == "warning"
    assert broken["says"].startswith("broken: ")


def test_for_people_each_finding_is_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--model-path", str(tmp_path / "none"), "--port", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line[1] in doctor.MARKS.values() for line in lines)
    assert any("--model-path" in line for line in lines)


def test_without_an_engine_it_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def nothing() -> Report:
        return {}

    monkeypatch.setattr(doctor, "probe", nothing)
    assert doctor.run(load_config({"model_path": "none", "port": 0}), as_json=True) == 1
    failed = [found["what"] for found in json.loads(capsys.readouterr().out) if found["state"] == "failed"]
    assert "runtimes" in failed
