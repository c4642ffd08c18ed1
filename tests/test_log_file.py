"""The log file: it is rotated, and nothing that happens to it stops who logs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fluid_server import log
from fluid_server.log_file import RotatingFile, opened

SMALL = 200
LINE = "x" * 99


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[Callable[..., RotatingFile]]:
    """Opens log files of a folder, and closes them."""
    made: list[RotatingFile] = []

    def opening(name: str = "server.log", *, max_bytes: int = SMALL, count: int = 2) -> RotatingFile:
        made.append(RotatingFile(tmp_path / name, max_bytes=max_bytes, count=count))
        return made[-1]

    yield opening
    for file in made:
        file.close()


def write(file: logging.Handler, *lines: str) -> None:
    for line in lines:
        file.handle(logging.LogRecord("test", logging.INFO, __file__, 1, line, (), None))


def lines_of(folder: Path) -> dict[str, list[str]]:
    return {file.name: file.read_text(encoding="utf-8").splitlines() for file in folder.iterdir()}


def test_a_file_that_has_grown_is_put_aside_and_the_oldest_goes(
    open_file: Callable[..., RotatingFile], tmp_path: Path
) -> None:
    write(open_file(), *(f"{number}{LINE}" for number in range(8)))
    kept = {name: [line[0] for line in lines] for name, lines in lines_of(tmp_path).items()}
    assert kept == {"server.log": ["6", "7"], "server.log.1": ["4", "5"], "server.log.2": ["2", "3"]}


def test_it_goes_on_where_it_ended_and_in_utf_8(open_file: Callable[..., RotatingFile], tmp_path: Path) -> None:
    write(open_file(), "Grüße")
    write(open_file(), "\udcff 世界")
    assert lines_of(tmp_path) == {"server.log": ["Grüße", "\\udcff 世界"]}


def test_a_file_that_cannot_be_moved_is_written_on(
    open_file: Callable[..., RotatingFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, while another program has it open."""

    def held(self: Path, target: Path) -> Path:
        raise PermissionError(13, "The process cannot access the file", str(self))

    file = open_file()
    with monkeypatch.context() as windows:
        windows.setattr(Path, "replace", held)
        write(file, *([LINE] * 5))
    assert lines_of(tmp_path) == {"server.log": [LINE] * 5}
    monkeypatch.setattr(file, "_not_before", 0.0)  # it has waited
    write(file, "new")
    assert lines_of(tmp_path) == {"server.log": ["new"], "server.log.1": [LINE] * 5}


def test_an_older_file_that_is_held_open_costs_nothing_new(
    open_file: Callable[..., RotatingFile], tmp_path: Path
) -> None:
    (tmp_path / "server.log.1").mkdir()  # a folder cannot be replaced by a file, nor can what Windows holds
    write(open_file(), LINE, LINE, "new")
    (tmp_path / "server.log.2").rmdir()
    assert lines_of(tmp_path) == {"server.log": ["new"], "server.log.1": [LINE, LINE]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no file that is open")
def test_two_writers_of_one_file_stay_together(open_file: Callable[..., RotatingFile], tmp_path: Path) -> None:
    first, second = open_file(), open_file()
    write(second, LINE, LINE, "after")
    write(first, "of the first")
    assert lines_of(tmp_path) == {"server.log": ["after", "of the first"], "server.log.1": [LINE, LINE]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_once_and_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    file = RotatingFile(Path("/dev/full"), max_bytes=SMALL, count=1)
    write(file, LINE, LINE, LINE)
    file.close()
    told = capsys.readouterr().err
    assert told == "The log file cannot be written (No space left on device); the server goes on without.\n"


def test_a_folder_that_has_gone_is_told_once_and_stops_nobody(
    open_file: Callable[..., RotatingFile],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a drive is taken out."""

    def gone(self: RotatingFile) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    file = open_file()
    with monkeypatch.context() as without:
        without.setattr(RotatingFile, "_is_ours", lambda self, now: False)
        without.setattr(RotatingFile, "_open", gone)
        write(file, "lost", "lost")
    write(file, "kept")
    assert lines_of(tmp_path) == {"server.log": ["kept"]}
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_no_file_is_no_handler() -> None:
    assert opened(None, SMALL, 1) is None


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_log_goes_to_the_file_as_well_with_the_day_and_no_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    file = opened(tmp_path / "logs" / "server.log", 10**6, 1)
    log.set_up("info", style, file=file)
    logging.getLogger("fluid_server.test").warning("model %s", "tiny", extra={"pid": 7})
    assert file is not None
    file.close()
    line = (tmp_path / "logs" / "server.log").read_text(encoding="utf-8")
    assert "model tiny" in capsys.readouterr().err
    if style == "json":
        assert json.loads(line)["pid"] == 7
    else:
        assert line[:2] == "20"
        assert line[20:] == "WARNING model tiny  pid=7\n"
