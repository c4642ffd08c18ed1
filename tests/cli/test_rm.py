"""fluid-server rm: a model leaves the disk, and nothing else does."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.program import ON_A_TERMINAL, Terminal, ran, refused, told, well
from tests.front_door import GGUF, OPENVINO, WHISPER, until


def ids(folder: Path) -> set[str]:
    return {one["id"] for one in told("list", folder=folder)}


def test_a_model_is_removed_without_a_question(models: Path) -> None:
    said = well("rm", OPENVINO, "--yes", folder=models.parent)
    assert said == f"Removed {OPENVINO} (4.5 MB).\n"
    assert not (models / "llm" / OPENVINO).exists()
    assert (models / "llm" / "fluid-tiny-gguf" / "fluid-tiny-F16.gguf").is_file()


def test_one_quantisation_of_several(models: Path) -> None:
    assert told("rm", GGUF, "-y", folder=models.parent)["deleted"] is True
    assert ids(models.parent) == {"fluid-tiny-gguf", OPENVINO, WHISPER}


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
