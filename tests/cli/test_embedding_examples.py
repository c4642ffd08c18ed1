"""The examples of docs/guides/embedding.md, run as they are. Those for .NET and PowerShell run in the workflow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fluid_server.cli.exit_codes import ExitCode
from fluid_server.cli.parent import LONGEST_END
from tests.cli.embedding import await_end, family
from tests.front_door import ENGINE_OF, GGUF, MODELS, OPENVINO, PATIENCE, clean_environment, command

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "embedding"
GUIDE = EXAMPLES.parents[1] / "guides" / "embedding.md"
NODE = shutil.which("node")
PYTHON_EXAMPLE = pytest.param([sys.executable, str(EXAMPLES / "python" / "embed.py")], OPENVINO, id="python")
NODE_EXAMPLE = pytest.param(
    [NODE or "node", str(EXAMPLES / "node" / "embed.mjs")],
    GGUF,
    id="node",
    marks=pytest.mark.skipif(NODE is None, reason="there is no Node here"),
)
BOTH = pytest.mark.parametrize(("program", "model"), [PYTHON_EXAMPLE, NODE_EXAMPLE])


@contextmanager
def running(program: list[str], model: str, folder: Path) -> Generator[tuple[subprocess.Popen[str], int], None, None]:
    """An example that has had its answer, and the server's process id."""
    assert model in ENGINE_OF
    server = command("serve", "--no-warm-up", "--model-path", str(MODELS))
    with subprocess.Popen(
        [*program, model, *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=clean_environment(),
    ) as example:
        try:
            assert example.stdout is not None
            runs = re.fullmatch(r"It runs: process (\d+)", example.stdout.readline().strip())
            assert runs
            assert "Paris" in example.stdout.readline()
            yield example, int(runs[1])
        finally:
            example.kill()


@BOTH
@pytest.mark.parametrize("typed", ["\n", ""], ids=["enter", "end of input"])
def test_an_example_starts_asks_and_ends_the_server(program: list[str], model: str, typed: str, tmp_path: Path) -> None:
    with running(program, model, tmp_path) as (example, pid):
        processes = family(pid)
        assert len(processes) > 1
        out, _ = example.communicate(typed, timeout=PATIENCE)
        assert out.strip().endswith("It has ended with 0")
        assert example.returncode == 0
    await_end(processes)
    assert (tmp_path / "fluid-data" / "logs" / "server.log").is_file()


@BOTH
def test_the_server_ends_with_an_example_that_is_killed(program: list[str], model: str, tmp_path: Path) -> None:
    with running(program, model, tmp_path) as (example, pid):
        processes = family(pid)
        example.kill()
    await_end(processes)


def test_an_example_says_why_the_server_did_not_start(tmp_path: Path) -> None:
    (tmp_path / "fluid-data").touch()
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "python" / "embed.py"), OPENVINO, *command("serve")],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "its folder cannot be written" in done.stderr


@BOTH
def test_an_example_passes_on_what_the_server_answers(program: list[str], model: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*program, model, *command("serve", "--no-warm-up")],  # whose data folder is without models
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert f"There is no model '{model}'" in done.stderr


def test_the_guide_names_every_example() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    files = [file for file in EXAMPLES.rglob("*") if file.is_file()]
    assert len(files) >= 5
    assert [file for file in files if file.relative_to(EXAMPLES.parents[1]).as_posix() not in text] == []


def test_the_guide_says_when_force_is_used() -> None:
    assert LONGEST_END < 3
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    assert f"{LONGEST_END:g} seconds after its parent the server ends itself and its workers by force" in text


def test_the_guide_gives_every_exit_code_its_meaning() -> None:
    rows = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    assert "\n".join(rows) in GUIDE.read_text(encoding="utf-8")
