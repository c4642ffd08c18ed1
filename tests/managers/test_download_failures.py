"""Downloads that are cut, damaged, stalled, killed; what is gone on with afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from fluid_server.catalog.scan import scan
from tests.front_door import until as wait_until
from tests.hub_server import CDN, Fault, HubServer
from tests.managers.downloads import (
    BIG,
    CHUNK,
    COMPLETED,
    F16,
    FAILED,
    GGUF,
    HALF,
    OPENVINO,
    SIZE,
    TINY,
    WEIGHTS,
    Program,
    bench,
    is_copy,
    overlaps,
    run,
    sha256,
)


@pytest.mark.parametrize("seed", [7, 8])
def test_a_pull_that_is_cut_twenty_times_ends_well_and_no_byte_comes_twice(
    hub: HubServer, tmp_path: Path, seed: int
) -> None:
    cuts = sorted(random.Random(seed).sample(range(1, SIZE), 20))
    hub.faults += [Fault(F16, cut_after=end - start) for start, end in pairwise((0, *cuts))]

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert (await made.fetch(f"{BIG}:F16")).state is COMPLETED

    run(work())
    assert sha256(tmp_path / BIG / F16) == sha256(GGUF / F16)
    assert len(hub.sent_ranges(F16)) == 21
    assert max(overlaps(hub, F16)) <= CHUNK
    assert hub.sent_bytes(F16) == SIZE


def test_a_model_that_comes_damaged_twice_is_not_installed_and_can_be_resumed(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, flip=1000, times=2))

    async def work() -> None:
        async with bench(tmp_path) as made:
            failed = await made.fetch(TINY)
            assert (failed.state, failed.error_code) == (FAILED, "download_damaged")
            assert WEIGHTS in (failed.error_message or "")
            assert scan(tmp_path) == ()
            assert not (tmp_path / TINY).exists()
            assert made.counted("fluid_downloads_total", outcome="failed") == 1
            await made.manager.resume(failed.id)
            assert (await made.end(failed.id)).state is COMPLETED

    run(work())
    assert is_copy(tmp_path / TINY, OPENVINO)
    assert hub.sent_bytes("openvino_model.xml") == (OPENVINO / "openvino_model.xml").stat().st_size


def test_one_flipped_byte_costs_one_more_fetch(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, flip=1000))

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert (await made.fetch(TINY)).state is COMPLETED

    run(work())
    assert is_copy(tmp_path / TINY, OPENVINO)
    assert hub.sent_bytes(WEIGHTS) == 2 * (OPENVINO / WEIGHTS).stat().st_size


def test_a_hub_that_stays_away_fails_it_and_what_came_is_kept(hub: HubServer, tmp_path: Path) -> None:
    hub.faults += [Fault(F16, CDN, cut_after=CHUNK), Fault(F16, CDN, status=503, times=3)]

    async def work() -> None:
        async with bench(tmp_path) as made:
            failed = await made.fetch(f"{BIG}:F16")
            assert (failed.state, failed.error_code) == (FAILED, "hub_unreachable")
            await made.manager.resume(failed.id)
            assert (await made.end(failed.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, CHUNK), (CHUNK, SIZE)]


def test_a_stalled_connection_is_made_anew_and_the_note_says_so(hub: HubServer, tmp_path: Path) -> None:
    hub.hold(F16, after=HALF)

    async def work() -> None:
        async with bench(tmp_path, patience=None, download_stall=1) as made:
            with made.feed.listening() as feed:
                assert (await made.fetch(f"{BIG}:F16")).state is COMPLETED
            feed.end()
            notes = {event.data["download"].note async for event in feed if event.data}
            assert "no bytes came for 1 s: trying again" in notes

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


def sizes(folder: Path) -> list[int]:
    """Of the files that are being fetched; one that is whole by now has gone."""
    found = []
    for file in folder.rglob("*.part"):
        with suppress(FileNotFoundError):
            found.append(file.stat().st_size)
    return found


@pytest.mark.parametrize("end", [Program.kill, Program.interrupt])
def test_a_program_that_was_killed_is_gone_on_with(
    hub: HubServer, tmp_path: Path, end: Callable[[Program], None]
) -> None:
    hub.hold(F16, after=HALF)
    program = Program(hub, tmp_path, f"{BIG}:F16")
    wait_until(lambda: HALF in sizes(tmp_path))
    end(program)
    assert scan(tmp_path) == ()

    async def work() -> None:
        async with bench(tmp_path) as made:
            (job,) = made.manager.downloads()
            assert job.bytes_done >= HALF
            assert (await made.end(job.id)).model == "tiny-gguf"

    run(work())
    assert sha256(tmp_path / BIG / F16) == sha256(GGUF / F16)
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


@pytest.mark.parametrize("moved", [(), (WEIGHTS, "config.json")])
def test_what_was_about_to_be_installed_is_installed_at_the_start(
    hub: HubServer, tmp_path: Path, moved: tuple[str, ...]
) -> None:
    program = Program(hub, tmp_path, TINY, stuck=True)
    job_files = (tmp_path / ".downloads").glob
    wait_until(lambda: any('"installing"' in file.read_text(encoding="utf-8") for file in job_files("*/job.json")))
    program.kill()
    asked = len(hub.requests)
    for name in moved:  # as if it had been killed in the middle
        (tmp_path / TINY).mkdir(parents=True, exist_ok=True)
        next(job_files(f"*/files/{name}")).replace(tmp_path / TINY / name)

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert [job.state for job in made.manager.downloads()] == [COMPLETED]
            assert [spec.id for spec in await made.library.specs()] == ["tiny-ov"]
            assert made.left() == []

    run(work())
    assert is_copy(tmp_path / TINY, OPENVINO)
    assert len(hub.requests) == asked
