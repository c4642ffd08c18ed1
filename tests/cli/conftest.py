"""Models folders of the tests' own: a server says in its folder where it is, so none is shared with other servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluid_server.cli.main import main
from tests.cli.program import InProcess, told, well
from tests.front_door import MODELS, RunningServer, clean_environment


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder to change, with the demo models."""
    return Path(shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns(".*")))


@pytest.fixture(scope="module")
def served(one_server: Path) -> Iterator[Path]:
    """A folder whose ``models`` a running server has, with echo; nothing is loaded before a test asks for it."""
    yield one_server
    for model in told("ps", folder=one_server):
        well("unload", model["id"], folder=one_server)


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same for the whole run."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(MODELS, folder / "models", ignore=shutil.ignore_patterns(".*"))
    server = RunningServer.start("--echo", "--no-warm-up", folder=folder, models=folder / "models")
    try:
        yield folder
    finally:
        server.stop()


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Runs a verb in this process, in an empty folder and without settings: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", clean_environment())

    def run(*arguments: str) -> tuple[int | str | None, str, str]:
        try:
            code: int | str | None = main(arguments)
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return run
