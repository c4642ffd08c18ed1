"""One file from the Hub, over real HTTP, with what goes wrong on the way."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import re
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog.hub import listing as listing_of
from fluid_server.errors import DownloadDamaged, HubUnreachable, OutOfDisk, RepositoryNotFound
from fluid_server.managers import disk
from fluid_server.managers.disk import Checker
from fluid_server.managers.transfer import Patience, Source, Transfer
from tests.hub_server import CDN, FILE, Fault, HubServer
from tests.managers.downloads import (
    BIG,
    CHUNK,
    F16,
    GGUF,
    QUICK,
    SIZE,
    overlaps,
    run,
    sha256,
    until,
)


class Notes:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.done = 0
        self.came_in_all = 0
        self.notes: list[str] = []
        self.noted = asyncio.Event()

    def at(self, done: int) -> None:
        self.done = done

    def came(self, count: int) -> None:
        self.done += count
        self.came_in_all += count

    def says(self, note: str | None) -> None:
        if note:
            self.notes.append(note)
            self.noted.set()


async def transfer(goal: Path, notes: Notes, path: str = F16, patience: Patience = QUICK, **told: Any) -> None:
    """Bring a file to ``goal``; ``told`` is what the listing says otherwise."""
    listing = await listing_of(BIG)
    file = next(file for file in listing.files if file.path == path)
    source = Source(repo=BIG, revision=listing.revision, file=replace(file, **told))
    await Transfer(source, goal, notes, patience, Checker()).run()


def fetched(goal: Path, path: str = F16, patience: Patience = QUICK, **told: Any) -> Notes:
    """The same, to its end."""
    notes = Notes()
    run(transfer(goal, notes, path, patience, **told))
    return notes


def part(goal: Path) -> Path:
    return goal.with_name(goal.name + ".part")


def is_right(goal: Path) -> bool:
    """Whether the file is there and nothing else."""
    return [each.name for each in goal.parent.iterdir()] == [goal.name] and sha256(goal) == sha256(GGUF / goal.name)


def test_a_file_comes_whole_and_its_part_is_gone(hub: HubServer, tmp_path: Path) -> None:
    notes = fetched(tmp_path / "deep" / F16)
    assert is_right(tmp_path / "deep" / F16)
    assert (notes.done, notes.came_in_all, notes.notes) == (SIZE, SIZE, [])
    assert hub.sent_ranges(F16) == [(0, SIZE)]


@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_is_cut_twenty_times_comes_right_and_no_byte_twice(
    hub: HubServer, tmp_path: Path, seed: int
) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, SIZE), 20))
    hub.faults += [Fault(F16, cut_after=end - start) for start, end in pairwise((0, *cuts))]
    notes = fetched(tmp_path / F16)
    assert notes.notes == 20 * ["the connection was cut: trying again"]
    assert is_right(tmp_path / F16)
    assert len(hub.sent_ranges(F16)) == 21
    assert max(overlaps(hub, F16)) <= CHUNK
    assert hub.sent_bytes(F16) == SIZE


def test_it_goes_on_at_the_length_of_the_part(hub: HubServer, tmp_path: Path) -> None:
    part(tmp_path / F16).write_bytes((GGUF / F16).read_bytes()[:3_000_000])
    fetched(tmp_path / F16)
    assert hub.sent_ranges(F16) == [(3_000_000, SIZE)]
    assert is_right(tmp_path / F16)


def test_a_part_that_is_whole_is_only_checked(hub: HubServer, tmp_path: Path) -> None:
    part(tmp_path / F16).write_bytes((GGUF / F16).read_bytes())
    fetched(tmp_path / F16)
    assert hub.sent_ranges(F16) == []
    assert is_right(tmp_path / F16)


def test_a_part_that_is_too_long_is_thrown_away(hub: HubServer, tmp_path: Path) -> None:
    part(tmp_path / F16).write_bytes(bytes(SIZE + 1))
    fetched(tmp_path / F16)
    assert hub.sent_ranges(F16) == [(0, SIZE)]
    assert is_right(tmp_path / F16)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(hub: HubServer, tmp_path: Path) -> None:
    hub.faults += [Fault(F16, cut_after=1_000_000), Fault(F16, ignore_range=True)]
    notes = fetched(tmp_path / F16)
    assert hub.sent_ranges(F16) == [(0, 1_000_000), (0, SIZE)]
    assert notes.done == SIZE
    assert is_right(tmp_path / F16)


def test_a_server_that_never_gets_further_is_given_up(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(F16, cut_after=1_000_000, ignore_range=True, times=100))
    with pytest.raises(HubUnreachable, match="could not be fetched: the connection was cut, 3 times in a row"):
        fetched(tmp_path / F16)
    assert len(hub.sent_ranges(F16)) == 4


@pytest.mark.parametrize(("path", "goal"), [(F16, F16), ("generation_config.json", "generation_config.json")])
def test_a_flipped_byte_is_caught_and_the_file_fetched_once_more(
    hub: HubServer, tmp_path: Path, path: str, goal: str
) -> None:
    hub.faults.append(Fault(path, flip=50))
    notes = fetched(tmp_path / goal, path)
    assert notes.notes == [f"'{path}' came damaged: it is fetched once more"]
    assert len(hub.sent_ranges(path)) == 2
    assert is_right(tmp_path / goal)


def test_a_file_that_comes_damaged_twice_is_named_and_nothing_of_it_stays(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(F16, flip=SIZE - 1, times=2))
    with pytest.raises(DownloadDamaged, match=F16) as caught:
        fetched(tmp_path / F16)
    assert caught.value.code == "download_damaged"
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_longer_than_the_file_is_is_no_trap(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadDamaged):
        fetched(tmp_path / F16, size=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_shorter_than_the_listing_says_is_not_asked_for_endlessly(
    hub: HubServer, tmp_path: Path
) -> None:
    with pytest.raises(HubUnreachable, match="in a row"):
        fetched(tmp_path / F16, size=SIZE + 1)


def test_an_empty_file_needs_no_request(hub: HubServer, tmp_path: Path) -> None:
    hub.add(BIG, {"empty.json": b""})
    fetched(tmp_path / "empty.json", "empty.json")
    assert (tmp_path / "empty.json").read_bytes() == b""
    assert not hub.asked_for("empty.json")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again_when_it_says(hub: HubServer, tmp_path: Path, status: int) -> None:
    hub.faults.append(Fault(F16, status=status, headers={"Retry-After": "0"}, times=2))
    notes = fetched(tmp_path / F16, patience=replace(QUICK, stall=5))
    said = f"127.0.0.1 answered with the status {status}: trying again, try {{}} of 2"
    assert notes.notes == [said.format(1), said.format(2)]
    assert is_right(tmp_path / F16)


def test_a_server_that_asks_for_no_wait_is_not_asked_at_once(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(F16, status=503, headers={"Retry-After": "0"}))

    async def work() -> None:
        notes = Notes()
        task = asyncio.create_task(transfer(tmp_path / F16, notes, patience=Patience(first=3600, longest=3600)))
        await notes.noted.wait()
        assert re.search(r"trying again in \d{4} s, try 1 of 6$", notes.notes[0])
        task.cancel()
        await asyncio.wait((task,))

    run(work())


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.EROFS, "write-protected"),
        (errno.EFBIG, "takes no file of that size.*--model-path"),
        (errno.ENOTDIR, "file lies where a folder"),
        (errno.ENOENT, "Pull it again to start over"),
        (errno.EIO, "The disk failed"),
    ],
)
def test_each_failure_of_the_disk_has_its_words(number: int, word: str) -> None:
    told = disk.failure(OSError(number, os.strerror(number), "/secret/path"), "the download")
    assert re.search(word, told.message)
    assert "secret" not in told.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_text_that_does_not_fit_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "job.json.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        disk.write_text(tmp_path / "job.json", "text")
    assert list(tmp_path.iterdir()) == []


def test_the_wait_that_the_server_asks_for_is_told(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(F16, status=429, headers={"Retry-After": "70"}))

    async def work() -> None:
        notes = Notes()
        task = asyncio.create_task(transfer(tmp_path / F16, notes))
        await notes.noted.wait()
        assert notes.notes == ["127.0.0.1 answered with the status 429: trying again in 70 s, try 1 of 2"]
        task.cancel()
        await asyncio.wait((task,))

    run(work())


def test_a_try_that_brought_bytes_counts_the_tries_anew(hub: HubServer, tmp_path: Path) -> None:
    nothing, some = Fault(F16, CDN, status=503, times=2), Fault(F16, CDN, cut_after=1_000_000)
    hub.faults += [nothing, some, replace(nothing), replace(some), replace(nothing)]
    assert len(fetched(tmp_path / F16).notes) == 8
    assert is_right(tmp_path / F16)


def test_what_cannot_be_retried_ends_it_at_once(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(F16, at=FILE, status=404, headers={"X-Error-Code": "EntryNotFound"}))
    with pytest.raises(RepositoryNotFound, match=F16):
        fetched(tmp_path / F16)
    assert len(hub.asked_for(F16)) == 1


def test_a_server_that_stops_sending_is_left_and_asked_anew(hub: HubServer, tmp_path: Path) -> None:
    hub.hold(F16, after=1_500_000)
    notes = fetched(tmp_path / F16, patience=replace(QUICK, stall=1))
    assert notes.notes == ["no bytes came for 1 s: trying again"]
    assert hub.sent_ranges(F16) == [(0, 1_500_000), (1_500_000, SIZE)]
    assert is_right(tmp_path / F16)


def test_cancelling_leaves_a_part_to_go_on_from(hub: HubServer, tmp_path: Path) -> None:
    hub.hold(F16, after=2_000_000)

    async def work() -> None:
        notes = Notes()
        task = asyncio.create_task(transfer(tmp_path / F16, notes))
        await until(lambda: notes.done == 2_000_000)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()

    run(work())
    assert part(tmp_path / F16).stat().st_size == 2_000_000
    fetched(tmp_path / F16)
    assert hub.sent_ranges(F16)[1:] == [(2_000_000, SIZE)]
    assert is_right(tmp_path / F16)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_full_disk_is_told_as_such(hub: HubServer, tmp_path: Path) -> None:
    part(tmp_path / F16).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        fetched(tmp_path / F16)
    told = disk.failure(caught.value, "the download")
    assert isinstance(told, OutOfDisk)
    assert str(tmp_path) not in told.message
    assert part(tmp_path / F16).is_symlink()


def test_the_waits_double_up_to_the_longest() -> None:
    patience = Patience(first=0.5, longest=30)
    for failed, full in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30], start=1):
        assert full * 0.75 <= patience.before(failed) <= full
    assert patience.before(0) <= 0.2
    assert patience.before(10_000) <= 30


def test_who_is_cancelled_waits_for_the_thread() -> None:
    """Else somebody could touch a file on which the thread still works."""
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        started.set()
        go_on.wait()
        ended.set()

    async def work() -> None:
        task = asyncio.create_task(disk.in_thread(write, hurry=go_on.set))
        await asyncio.to_thread(started.wait)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        assert ended.is_set()

    run(work())


def test_a_file_moves_to_another_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("new", encoding="utf-8")
    (tmp_path / "b").write_text("old", encoding="utf-8")
    real = Path.replace

    def elsewhere(self: Path, target: Path) -> Path:
        if self.name == "a":
            raise OSError(errno.EXDEV, "another disk")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", elsewhere)
    disk.move(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_text(encoding="utf-8") == "new"
