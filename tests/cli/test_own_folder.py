"""Folders of processes: one for each, and gone with it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fluid_server.cli import own_folder as folders
from fluid_server.cli.own_folder import own_folder
from tests.front_door import PATIENCE

HOLDS_ONE = """
import sys
from pathlib import Path
from fluid_server.cli.own_folder import own_folder
with own_folder(Path(sys.argv[1])) as own:
    (own / "file").write_text("mine")
    print(own, flush=True)
    sys.stdin.read()
"""


def test_a_folder_goes_with_its_process_also_with_one_that_was_killed_and_no_sooner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with own_folder(tmp_path) as own:
            assert own != theirs
            assert (theirs / "file").read_text() == "mine"
        assert [*tmp_path.iterdir()] == [theirs]
        other.kill()
        other.wait(PATIENCE)
    with own_folder(tmp_path) as own:
        assert [*tmp_path.iterdir()] == [own]
    assert [*tmp_path.iterdir()] == []


def test_processes_with_the_same_number_have_folders_of_their_own(tmp_path: Path) -> None:
    with own_folder(tmp_path) as one, own_folder(tmp_path) as other:
        assert one != other
        assert {*tmp_path.iterdir()} == {one, other}


def test_many_that_start_and_end_at_once_take_no_folder_from_each_other(tmp_path: Path) -> None:
    def use(number: int) -> str:
        with own_folder(tmp_path) as own:
            (own / "file").write_text(f"{number}")
            with own_folder(tmp_path):
                return (own / "file").read_text()

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(use, range(100))] == [f"{number}" for number in range(100)]


def test_what_is_not_ours_and_what_cannot_be_locked_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without locks."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "server-perhaps-somebody's").mkdir()
    (tmp_path / "server-perhaps-somebody's" / folders.LOCK).touch()
    monkeypatch.setattr(folders, "_locked", lambda descriptor: None)
    with own_folder(tmp_path) as own:
        assert own.is_dir()
    assert {one.name for one in tmp_path.iterdir()} == {"letters", "server-perhaps-somebody's"}
