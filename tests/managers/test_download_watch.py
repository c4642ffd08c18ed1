"""What those who watch a download see."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from fluid_server.errors import (
    ShuttingDown,
)
from fluid_server.managers.download_job import Rate
from fluid_server.types import Download
from tests.hub_server import Fault, HubServer
from tests.managers.downloads import (
    BIG,
    COMPLETED,
    F16,
    QUEUED,
    QUICK,
    TINY,
    WEIGHTS,
    bench,
    half,
    run,
    until,
)


def test_the_feed_tells_the_whole_story(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            with made.feed.listening() as feed:
                job = await half(made, hub)
                await made.manager.pause(job.id)
                await made.manager.resume(job.id)
                await made.end(job.id)
            feed.end()
            heard = [event async for event in feed]
            told = [event.type for event in heard if event.type != "download.progress"]
            story = ["started", "paused", "resumed", "completed"]
            assert told == [*(f"download.{what}" for what in story), "models.changed"]
            assert "download.progress" in [event.type for event in heard]
            assert all(event.data["download"].id == job.id for event in heard if event.data)

    run(work())


def test_those_who_watch_see_it_grow_and_end(hub: HubServer, tmp_path: Path) -> None:
    hub.faults += [Fault(F16, cut_after=400_000, times=5)]

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull(f"{BIG}:F16")

            async def watch() -> list[Download]:
                return [each async for each in made.manager.watch(job.id)]

            for seen in await asyncio.gather(*(watch() for _ in range(5))):
                assert seen[-1].state is COMPLETED
                done = [each.bytes_done for each in seen]
                assert done == sorted(done)

    run(work())


def test_a_watcher_that_leaves_does_not_end_the_job(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull(TINY)
            async with aclosing(made.manager.watch(job.id)) as states:
                await anext(states)
            assert (await made.end(job.id)).state is COMPLETED

    run(work())


def test_those_who_watch_are_told_that_the_server_ends(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            watching = asyncio.create_task(made.end(job.id))
            await asyncio.sleep(0)
            await made.manager.close()
            with pytest.raises(ShuttingDown):
                await watching
            with pytest.raises(ShuttingDown):
                await made.manager.pull(TINY)

    run(work())


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    rate.start(100)
    for tenth in range(100):
        rate.add(1000, 100 + tenth / 10)
    assert rate.at(110) == pytest.approx(10_000, rel=0.05)
    assert rate.at(112.5) == pytest.approx(5_000, rel=0.05)
    assert rate.at(116) == 0


def test_a_running_download_says_how_fast_it_is_and_how_long_it_takes(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            assert job.rate > 0
            assert job.eta_seconds == pytest.approx((job.bytes_total - job.bytes_done) / job.rate)

    run(work())


def test_only_so_many_run_at_once_and_the_rest_wait(hub: HubServer, tmp_path: Path) -> None:
    hold = hub.hold(WEIGHTS, after=1000)

    async def work() -> None:
        async with bench(tmp_path, max_downloads=1) as made:
            first, second = await made.manager.pull(TINY), await made.manager.pull(f"{BIG}:F16")
            await until(lambda: made.manager.download(first.id).bytes_done)
            assert made.manager.download(second.id).state is QUEUED
            assert not hub.sent_ranges(F16)
            assert [each.id for each in made.manager.downloads()] == [second.id, first.id]
            hold.release()
            assert (await made.end(second.id)).state is COMPLETED

    run(work())


def test_those_that_have_ended_are_remembered_for_a_while(hub: HubServer, tmp_path: Path) -> None:
    for number in range(52):
        hub.add(f"fluid/m{number}", {"m-F16.gguf": b"GGUF"})

    async def work() -> None:
        async with bench(tmp_path, patience=replace(QUICK, retries=0)) as made:
            for number in range(52):
                (tmp_path / "fluid" / f"m{number}").mkdir(parents=True)
                (tmp_path / "fluid" / f"m{number}" / "m-F16.gguf").write_bytes(b"GGUF")
                assert (await made.fetch(f"fluid/m{number}")).state is COMPLETED
            await asyncio.sleep(0)
            assert len(made.manager.downloads()) == 50
            assert made.manager.downloads()[0].repo == "fluid/m51"

    run(work())
