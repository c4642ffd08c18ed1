"""fluid-server show: what a model is, what it needs, and what would run it here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import ran, refused, told, well
from tests.front_door import ECHO, GGUF, OPENVINO, WHISPER
from tests.speaking import KOKORO, VOICES, speech_models

SOURCE = {"repo": "Qwen/Qwen3-4B-GGUF", "revision": "a" * 40, "pulled": 1_800_000_000.0, "files": {}}


def test_for_people(models: Path) -> None:
    shown = well("show", GGUF, folder=models.parent).splitlines()
    rows = {line[2:14].strip(): line[16:] for line in shown[1:]}
    assert shown[0] == GGUF
    assert rows["Format"] == "gguf, F16"
    assert rows["Context"] == "2048 tokens"
    assert rows["Runs here"] == "llamacpp on CPU"
    assert rows["Not with"] == "openvino: it is for the format openvino"
    assert rows["Sampling"] == "temperature 0"
    assert any("more lines: --template" in line for line in shown)


def test_a_model_that_speaks_has_voices_and_no_context(tmp_path: Path) -> None:
    speech_models(tmp_path / "models")
    shown = well("show", KOKORO, folder=tmp_path)
    assert f"Voices        {', '.join(VOICES)}\n" in shown
    assert "context" not in shown.lower()


def test_json_for_machines(models: Path) -> None:
    facts = told("show", OPENVINO, folder=models.parent)
    assert facts["runs_with"] == [{"runtime": "openvino", "device": "CPU"}]
    sizes = {file["path"]: file["size_bytes"] for file in facts["files"]}
    assert sizes["openvino_model.bin"] == (models / "llm" / OPENVINO / "openvino_model.bin").stat().st_size
    assert facts["disk_bytes"] == sum(sizes.values())
    (memory,) = facts["memory"]
    assert memory["context_length"] == 2048
    assert memory["total"] == memory["weights"] + memory["kv_cache"] + memory["base"]


def test_a_shorter_context_takes_less(models: Path) -> None:
    (whole,) = told("show", OPENVINO, folder=models.parent)["memory"]
    (part,) = told("show", OPENVINO, "--context-length", "512", folder=models.parent)["memory"]
    assert part["kv_cache"] * 4 == whole["kv_cache"]


def test_the_template_alone(models: Path) -> None:
    shown = well("show", OPENVINO, "--template", folder=models.parent)
    assert shown == (models / "llm" / OPENVINO / "chat_template.jinja").read_text(encoding="utf-8") + "\n"
    assert "no chat template" in refused("show", WHISPER, "--template", folder=models.parent).lower()


def test_where_it_came_from(models: Path) -> None:
    (models / "Qwen").mkdir()
    home = (models / "llm" / "fluid-tiny-gguf").rename(models / "Qwen" / "Qwen3-4B-GGUF")
    (home / ".fluid.json").write_text(json.dumps(SOURCE), encoding="utf-8")
    shown = well("show", "Qwen3-4B-GGUF:Q8_0", folder=models.parent)
    assert "Qwen/Qwen3-4B-GGUF at aaaaaaaa, fetched on 20" in shown


def test_a_device_that_is_not_here(models: Path) -> None:
    shown = well("show", OPENVINO, "--device", "TPU", folder=models.parent)
    assert "nothing runs it" in shown
    assert "the device TPU is not here; there is: CPU" in shown


def test_a_broken_model_says_why(models: Path) -> None:
    (models / "llm" / OPENVINO / "openvino_model.bin").write_bytes(b"x")
    shown = well("show", OPENVINO, folder=models.parent)
    assert "cut short" in shown
    assert told("show", OPENVINO, folder=models.parent)["memory"] == []


def test_no_such_model(models: Path) -> None:
    assert "Did you mean 'fluid-tiny-ov'" in refused("show", "fluid-tiny-op", folder=models.parent)
    done = ran("show", "nope", "--json", folder=models.parent)
    assert json.loads(done.stdout)["error"]["code"] == "model_not_found"
    assert done.returncode == 1


@pytest.mark.parametrize("name", [ECHO, OPENVINO])
def test_a_running_server_adds_what_it_does(served: Path, name: str) -> None:
    well("load", name, folder=served)
    facts = told("show", name, folder=served)
    assert (facts["state"], facts["device"]) == ("ready", "CPU")
    assert facts["chat_template"]
    assert "State         ready on " in well("show", name, folder=served)
    well("unload", name, folder=served)


def test_a_model_of_a_server_with_another_folder(served: Path, tmp_path: Path) -> None:
    url = json.loads((served / "models" / ".server.json").read_text(encoding="utf-8"))["url"]
    port = url.rpartition(":")[2]
    shown = well("show", OPENVINO, "--port", port, "--model-path", str(tmp_path), folder=tmp_path)
    assert shown.startswith(OPENVINO)
    assert "Files" not in shown


def test_a_known_model_that_is_not_here(models: Path) -> None:
    shown = well("show", "qwen3-4b", folder=models.parent)
    assert shown.startswith("qwen3-4b is not here. Fetch it with: fluid-server pull qwen3-4b\n")
    assert "Licence" in shown
    assert told("show", "qwen3-4b", folder=models.parent)["model"] is None
    assert "fluid-server pull qwen3-4b" in refused("show", "qwen3-4b", "--template", folder=models.parent)


def test_a_known_model_that_a_server_does_not_have(served: Path) -> None:
    assert "qwen3-4b is not here" in well("show", "Qwen3-4B", folder=served)
    assert "GET" not in refused("show", "nope", folder=served)
