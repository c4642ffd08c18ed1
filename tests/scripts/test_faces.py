"""The PowerShell scripts: each is a thin face of a Python core, and says the same of it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
FACES = sorted(SCRIPTS.glob("*.ps1"))
NAMED = ["build", "check", "kill_server", "start_server", "test_exe", "test_with_models", "typecheck"]
RUNS = re.compile(r"^    uv run scripts/(\w+\.py) (\w+ )?@args$", re.MULTILINE)
FLAG = re.compile(r"--[a-z][a-z-]*")
BODY = """\
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
Push-Location $root
try {
    uv run RUN @args
    $code = $LASTEXITCODE
}
finally {
    Pop-Location
}
exit $code
"""


def text_of(face: Path) -> str:
    return face.read_text(encoding="ascii")  # Windows PowerShell takes UTF-8 without a mark for something else


def core_of(face: Path) -> Path:
    found = RUNS.search(text_of(face))
    assert found
    return SCRIPTS / found[1]


def help_of(face: Path) -> str:
    return text_of(face).partition("#>")[0]


def test_there_is_every_script_that_was_promised() -> None:
    assert [face.stem for face in FACES] == NAMED


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.stem)
def test_a_face_does_nothing_but_run_its_core_and_hand_its_exit_code_over(face: Path) -> None:
    code = text_of(face).partition("#>\n")[2]
    found = RUNS.search(code)
    assert found
    assert code == BODY.replace("RUN", f"scripts/{found[1]} {found[2] or ''}".rstrip())


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.stem)
def test_get_help_finds_every_section(face: Path) -> None:
    text = text_of(face)
    assert text.startswith("<#\n.SYNOPSIS\n")
    sections = re.findall(r"^\.([A-Z]+)$", help_of(face), re.MULTILINE)
    assert [name for name in sections if name != "EXAMPLE"] == ["SYNOPSIS", "DESCRIPTION", "LINK"]
    assert "EXAMPLE" in sections
    examples = re.findall(r"^\.EXAMPLE\n    (\S+)", text, re.MULTILINE)
    assert set(examples) == {f"scripts\\{face.name}"}


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.stem)
def test_the_analyser_has_nothing_to_say_of_blanks_and_lengths(face: Path) -> None:
    lines = text_of(face).splitlines()
    assert all(line == line.rstrip() and "\t" not in line and len(line) <= 120 for line in lines)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.stem)
def test_the_core_is_there(face: Path) -> None:
    assert core_of(face).is_file()


@pytest.mark.parametrize("name", ["start_server", "kill_server", "test_with_models"])
def test_help_names_every_flag_of_the_core(name: str) -> None:
    parser = import_module(f"scripts.{name}").parser()
    flags = {flag for action in parser._actions for flag in action.option_strings} - {"-h", "--help"}
    help_text = help_of(SCRIPTS / f"{name}.ps1")
    assert flags <= set(FLAG.findall(help_text))
    assert flags <= set(FLAG.findall(parser.description))


@pytest.mark.parametrize("name", ["build", "test_exe"])
def test_help_names_the_flags_that_the_core_knows_and_no_others(name: str) -> None:
    asked = [sys.executable, str(SCRIPTS / f"{name}.py"), "--help"]
    told = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True, timeout=60).stdout
    options = told.partition("\noptions:")[2]
    flags = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", options, re.MULTILINE)) - {"--help"}
    named = help_of(SCRIPTS / f"{name}.ps1").partition(".EXAMPLE")[0]
    assert flags
    assert set(FLAG.findall(named)) - {"--extra"} == flags
