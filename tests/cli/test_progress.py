"""How a download is shown: bars, lines, JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from fluid_server.cli.progress import body_of, line, picture, shown
from fluid_server.cli.pull import download_of
from fluid_server.types import Download, DownloadState, FileProgress

GOING = Download(
    id="dl-1",
    name="owner/repo",
    repo="owner/repo",
    revision="0" * 40,
    state=DownloadState.DOWNLOADING,
    files=(
        FileProgress(path="a/weights.gguf", size=2_000_000_000, done=500_000_000),
        FileProgress(path="config.json", size=1000, done=1000),
        FileProgress(path="merges.txt", size=1000),
    ),
    bytes_done=500_001_000,
    bytes_total=2_000_002_000,
    rate=25_000_000.0,
    eta_seconds=60.0,
)


def drawn(download: Download, width: int = 120) -> list[str]:
    """The picture as a terminal of that width shows it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(picture(download, width))
    return capture.get().splitlines()


def test_a_bar_for_what_is_coming_a_line_for_the_rest_and_the_whole() -> None:
    others, file, whole = drawn(GOING)
    assert file.startswith("weights.gguf")
    assert file.rstrip().endswith("500.0 MB of 2.0 GB")
    assert others.strip() == "1 of 3 files are here"
    assert whole.startswith("owner/repo")
    assert whole.rstrip().endswith("500.0 MB of 2.0 GB  25.0 MB/s, 1 min left")


def test_a_hundred_small_files_are_one_line() -> None:
    many = tuple(FileProgress(path=f"{number}.json", size=10, done=10) for number in range(100))
    lines = drawn(replace(GOING, files=(*GOING.files, *many)))
    assert [text.strip() for text in lines[:1]] == ["101 of 103 files are here"]
    assert len(lines) == 3


def test_a_note_has_a_line_of_its_own() -> None:
    assert drawn(replace(GOING, note="the connection was cut: trying again in 2 s"))[-1].startswith("the connection")


@pytest.mark.parametrize("width", [80, 100, 200])
def test_all_figures_are_seen(width: int) -> None:
    long = replace(GOING, name="an-owner-with-a-long-name/and-a-repository-with-another", eta_seconds=7440.0)
    whole = drawn(long, width)[-1].rstrip()
    assert whole.startswith("an-owner")
    assert whole.endswith("500.0 MB of 2.0 GB  25.0 MB/s, 2 h 4 min left")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_parts_of_a_file_are_told_apart(width: int) -> None:
    parts = tuple(
        FileProgress(path=f"Q4/Qwen3-235B-A22B-Instruct-Q4_K_M-0000{part}-of-00003.gguf", size=100, done=50)
        for part in (1, 2, 3)
    )
    others, *files, _ = drawn(replace(GOING, files=parts), width)
    assert others.strip() == "0 of 3 files are here"
    assert [text.partition("%")[0][:40].count(f"{part}") > 0 for part, text in enumerate(files, 1)] == [True] * 3
    assert len({text.split("━")[0] for text in files}) == 3


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(text) <= width for text in drawn(GOING, width))
    assert len(drawn(GOING, width)) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "owner/repo: 25 % of 2.0 GB, 25.0 MB/s, 1 min left"),
        ({"rate": 0.0, "eta_seconds": None}, "owner/repo: 25 % of 2.0 GB, downloading"),
        ({"note": "trying again in 2 s"}, "owner/repo: 25 % of 2.0 GB, 25.0 MB/s, 1 min left, trying again in 2 s"),
        ({"state": DownloadState.QUEUED}, "owner/repo: 25 % of 2.0 GB, waiting for its turn"),
        ({"state": DownloadState.COMPLETED}, "owner/repo: all of it is here, 2.0 GB"),
    ],
)
def test_lines(changes: dict[str, object], said: str) -> None:
    assert line(replace(GOING, **changes)) == said  # type: ignore[arg-type]


def test_what_is_written_can_be_read() -> None:
    failed = replace(GOING, state=DownloadState.FAILED, error_code="download_damaged", error_message="It is damaged.")
    for download in (GOING, failed):
        assert download_of(json.loads(json.dumps(body_of(download)))) == download


def test_a_line_for_each_tenth_and_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("owner/repo", as_json=True) as show:
        for percent in range(0, 101):
            show(replace(GOING, bytes_done=percent, bytes_total=100))
        show(replace(GOING, state=DownloadState.VERIFYING, bytes_done=100, bytes_total=100))
    written = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [one["bytes_done"] for one in written] == [*range(0, 101, 10), 100]
    assert written[-1]["state"] == "verifying"


def test_nothing_is_written_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("owner/repo", as_json=False) as show:
        for _ in range(3):
            show(GOING)
    assert capsys.readouterr().err.splitlines() == [line(GOING)]
