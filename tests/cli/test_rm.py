"""fluid-server rm: a model leaves the disk, and nothing else does."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.program import ON_A_TERMINAL, Terminal, ran, refused, told, well
from tests.front_door import GGUF, OPENVINO, QNN_WHISPER, WHISPER, until


def ids(folder: Path) -> set[str]:
    return {one["id"] for one in told("list", folder=folder)}


def test_a_model_is_removed_without_a_question(models: Path) -> None:
    said = well("rm", OPENVINO, "--yes", folder=models.parent)
    assert said == f"Removed {OPENVINO} (4.5 MB).\n"
    assert not (models / "llm" / OPENVINO).exists()
    assert (models / "llm" / "fluid-tiny-gguf" / "fluid-tiny-F16.gguf").is_file()


def test_one_quantisation_of_several(models: Path) -> None:
    assert told("rm", GGUF, "-y", folder=models.parent)["deleted"] is True
    assert ids(models.parent) == {"fluid-tiny-gguf", OPENVINO, QNN_WHISPER, WHISPER}


def test_nobody_to_ask(models: Path) -> None:
    done = ran("rm", OPENVINO, folder=models.parent)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert (models / "llm" / OPENVINO).is_dir()


@ON_A_TERMINAL
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("", 1), ("n", 1), ("yep", 1)])
def test_only_a_clear_yes_removes(models: Path, answer: str, code: int) -> None:
    terminal = Terminal("rm", OPENVINO, folder=models.parent)
    terminal.wait_for(f"Remove {OPENVINO} (4.5 MB)? [y/N] ")
    terminal.answer(f"{answer}\n")
    assert terminal.end() == code
    assert (models / "llm" / OPENVINO).exists() is bool(code)
    assert ("Nothing was removed." in terminal.shown) is bool(code)


def test_a_name_that_is_unknown_is_told_before_anybody_is_asked(models: Path) -> None:
    assert "There is no model 'nope'" in refused("rm", "nope", folder=models.parent)
    done = ran("rm", OPENVINO, "--json", folder=models.parent)
    assert done.returncode == 2
    assert "--yes" in json.loads(done.stdout)["error"]["message"]


def test_a_name_of_several_quantisations_is_refused(models: Path) -> None:
    said = refused("rm", "fluid-tiny-gguf", "-y", folder=models.parent)
    assert "means 2 models: fluid-tiny-gguf:F16, fluid-tiny-gguf:Q8_0. Say which" in said
    assert GGUF in ids(models.parent)


def test_what_is_no_model_is_left_to_people(models: Path) -> None:
    (models / "notes").mkdir()
    (models / "notes" / "thesis.txt").write_text("x", encoding="utf-8")
    assert "remove it by hand" in refused("rm", "notes", "-y", folder=models.parent)


@ON_A_TERMINAL
@pytest.mark.parametrize(
    ("file", "question"),
    [
        ("config.json", "half is no model that this server knows: 1 file, 5.0 kB. Remove it? [y/N] "),
        ("x.gguf.part", "half cannot be used (its download has not finished): 1 file, 5.0 kB. Remove it? [y/N] "),
    ],
)
def test_a_broken_model_is_asked_about_with_its_problem(models: Path, file: str, question: str) -> None:
    (models / "half").mkdir()
    (models / "half" / file).write_bytes(b"x" * 5000)
    terminal = Terminal("rm", "half", folder=models.parent)
    terminal.wait_for(question)
    terminal.answer("y\n")
    assert terminal.end() == 0
    assert "Removed half (5.0 kB)." in terminal.shown
    assert not (models / "half").exists()


@ON_A_TERMINAL
def test_ctrl_c_at_the_question(models: Path) -> None:
    terminal = Terminal("rm", OPENVINO, folder=models.parent)
    terminal.wait_for("[y/N]")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert (models / "llm" / OPENVINO).is_dir()


def test_what_cannot_be_removed(models: Path) -> None:
    assert "There is no model 'nope'" in refused("rm", "nope", "-y", folder=models.parent)
    assert "built in" in refused("rm", "echo", "-y", folder=models.parent, env={"FLUID_ECHO": "1"})


def test_a_running_server_does_it(served: Path) -> None:
    home = served / "models" / "llm"
    shutil.copytree(home / OPENVINO, home / "copy")
    until(lambda: "copy" in ids(served))
    well("load", "copy", folder=served)
    assert well("rm", "copy", "-y", folder=served).startswith("Removed copy (")
    assert not (home / "copy").exists()
    assert told("ps", folder=served) == []


def test_a_running_server_tells_what_is_really_deleted(served: Path) -> None:
    home = served / "models" / "llm" / "half"
    home.mkdir()
    (home / "config.json").write_bytes(b"x" * 5000)
    until(lambda: "half" in ids(served))
    assert "means 2 models" in refused("rm", "fluid-tiny-gguf", "-y", folder=served)
    assert well("rm", "half", "-y", folder=served) == "Removed half (5.0 kB).\n"
