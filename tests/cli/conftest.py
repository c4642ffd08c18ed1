"""Models folders of the tests' own: a server says in its folder where it is, so none is shared with other servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.front_door import MODELS, RunningServer


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder to change, with the demo models."""
    return Path(shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns(".*")))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose ``models`` a running server has, with echo; nothing is loaded before a test asks for it."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(MODELS, folder / "models", ignore=shutil.ignore_patterns(".*"))
    server = RunningServer.start("--echo", "--no-warm-up", folder=folder, models=folder / "models")
    try:
        yield folder
    finally:
        server.stop()
