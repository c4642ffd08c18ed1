"""Downloads that are paused, resumed, cancelled, and that outlive the program."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fluid_server.errors import (
    Conflict,
    DownloadNotFound,
    FluidError,
    Offline,
)
from fluid_server.managers.download_record import failure_of
from tests.hub_server import CDN, Fault, HubServer
from tests.managers.downloads import (
    BIG,
    CANCELLED,
    COMPLETED,
    F16,
    FAILED,
    GGUF,
    HALF,
    INSTALLING,
    OPENVINO,
    PAUSED,
    QUEUED,
    SIZE,
    TINY,
    VERIFYING,
    WEIGHTS,
    Bench,
    bench,
    files_of,
    half,
    is_copy,
    run,
    sha256,
    until,
)


def test_a_paused_download_goes_on_where_it_was(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            paused = await made.manager.pause(job.id)
            assert (paused.state, paused.rate, paused.eta_seconds) == (PAUSED, 0, None)
            assert (await made.manager.pause(job.id)).state is PAUSED
            assert (await made.end(job.id)).state is PAUSED
            assert (await made.manager.resume(job.id)).state is QUEUED
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]
    assert sha256(tmp_path / BIG / F16) == sha256(GGUF / F16)


def test_a_pause_outlives_the_program(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            await made.manager.pause(job.id)
        async with bench(tmp_path) as made:
            (paused,) = made.manager.downloads()
            assert (paused.id, paused.state, paused.created) == (job.id, PAUSED, job.created)
            assert paused.bytes_done == job.bytes_done
            await made.manager.resume(job.id)
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


def test_pulling_a_paused_model_again_resumes_it(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            await made.manager.pause(job.id)
            again = await made.manager.pull(f"{BIG}/{F16}")
            assert (again.id, again.state) == (job.id, QUEUED)
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


def test_what_ran_when_the_server_ended_goes_on_by_itself(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
        async with bench(tmp_path) as made:
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


def test_offline_what_ran_waits(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
        async with bench(tmp_path, offline=True) as made:
            assert [each.state for each in made.manager.downloads()] == [PAUSED]
            with pytest.raises(Offline):
                await made.manager.resume(job.id)
        async with bench(tmp_path) as made:
            assert (await made.end(job.id)).state is COMPLETED

    run(work())


def test_a_failure_outlives_the_program_and_can_be_resumed(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, flip=1000, times=2))

    async def work() -> None:
        async with bench(tmp_path) as made:
            failed = await made.fetch(TINY)
        async with bench(tmp_path) as made:
            (found,) = made.manager.downloads()
            assert (found.state, found.error_message) == (FAILED, failed.error_message)
            assert found.error_code == "download_damaged"
            await made.manager.resume(found.id)
            assert (await made.end(found.id)).state is COMPLETED

    run(work())


def test_a_cancelled_download_leaves_nothing(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            assert made.left() == [job.id]
            cancelled = await made.manager.cancel(job.id)
            assert (cancelled.state, cancelled.ended is None) == (CANCELLED, False)
            assert made.left() == []
            assert made.counted("fluid_downloads_total", outcome="cancelled") == 1
            with pytest.raises(Conflict, match="is cancelled"):
                await made.manager.cancel(job.id)
            assert (await made.fetch(f"{BIG}:F16")).state is COMPLETED

    run(work())


async def paused(made: Bench, hub: HubServer) -> str:
    job = await half(made, hub)
    return (await made.manager.pause(job.id)).id


async def failed(made: Bench, hub: HubServer) -> str:
    hub.faults.append(Fault(F16, CDN, status=500, times=3))
    return (await made.fetch(f"{BIG}:F16")).id


async def waiting(made: Bench, hub: HubServer) -> str:
    hub.faults.append(Fault(F16, CDN, status=429, headers={"Retry-After": "3600"}))
    job = await made.manager.pull(f"{BIG}:F16")
    await until(lambda: "3600 s" in (made.manager.download(job.id).note or ""))
    return job.id


async def queued(made: Bench, hub: HubServer) -> str:
    hub.hold(WEIGHTS, after=1000)
    await made.manager.pull(TINY)
    job = await made.manager.pull(f"{BIG}:F16")
    await until(lambda: made.manager.download(job.id).note == "waits until another download is done")
    assert made.manager.download(job.id).state is QUEUED
    return job.id


@pytest.mark.parametrize("bring", [paused, failed, waiting, queued])
def test_a_download_can_be_cancelled_in_every_state(hub: HubServer, tmp_path: Path, bring: Any) -> None:
    async def work() -> None:
        async with bench(tmp_path, max_downloads=1) as made:
            id_ = await bring(made, hub)
            assert (await made.manager.cancel(id_)).state is CANCELLED
            assert id_ not in made.left()
        assert not (tmp_path / BIG).exists()

    run(work())


def test_it_can_be_cancelled_while_it_is_checked(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, real = threading.Event(), hashlib.sha256

    class Slow:
        def update(self, data: bytes) -> None:
            go_on.wait()

        def hexdigest(self) -> str:
            return ""

    monkeypatch.setattr(hashlib, "sha256", lambda data=None: Slow() if data is None else real(data))

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull(f"{BIG}:F16")
            await made.reach(job.id, VERIFYING)
            cancelling = asyncio.create_task(made.manager.cancel(job.id))
            await asyncio.sleep(0)
            go_on.set()
            assert (await cancelling).state is CANCELLED
            assert made.left() == []

    run(work())


def test_what_is_being_installed_is_installed(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            async with made.library.changing():
                job = await made.manager.pull(TINY)
                await made.reach(job.id, INSTALLING)
                cancelling = asyncio.create_task(made.manager.cancel(job.id))
                await asyncio.sleep(0)
            with pytest.raises(Conflict, match="is completed"):
                await cancelling
            assert (await made.end(job.id)).model == "tiny-ov"

    run(work())
    assert is_copy(tmp_path / TINY, OPENVINO)


def test_what_has_ended_can_be_neither_paused_nor_resumed(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.fetch(TINY)
            for ask in (made.manager.pause, made.manager.resume, made.manager.cancel):
                with pytest.raises(Conflict, match="is completed"):
                    await ask(job.id)
                with pytest.raises(DownloadNotFound):
                    await ask("dl-0")

    run(work())


def test_a_cancel_that_was_cut_short_is_finished_at_the_start(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
        file = tmp_path / ".downloads" / job.id / "job.json"
        told = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**told, "state": "cancelled"}), encoding="utf-8")
        async with bench(tmp_path) as made:
            assert made.manager.downloads() == []
            assert made.left() == []

    run(work())


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[" * 100_000, "[]", "null", '{"version": 99}', '{"version": 1}',
        '{"version": 1, "name": "a/b", "folder": "../x", "repo": "a/b", "revision": "r", "files": []}',
    ],
)  # fmt: skip
def test_a_job_that_nobody_understands_is_left_alone(
    hub: HubServer, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / ".downloads" / "dl-old"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(text, encoding="utf-8")

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert made.manager.downloads() == []
            assert (await made.fetch(TINY)).state is COMPLETED

    run(work())
    assert "dl-old cannot be read and is left alone" in caplog.text
    assert files_of(folder) == {"job.json": text.encode()}


@pytest.mark.parametrize(
    "wrong",
    [{"name": 5}, {"repo": None}, {"revision": None}, {"name": "\ud800"}, {"created": float("nan")}, {"error": [1]}],
)
def test_a_job_with_values_of_other_kinds_is_left_alone(hub: HubServer, tmp_path: Path, wrong: dict[str, Any]) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
        file = tmp_path / ".downloads" / job.id / "job.json"
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **wrong}), encoding="utf-8")
        async with bench(tmp_path) as made:
            assert made.manager.downloads() == []
            assert made.left() == [job.id]

    run(work())


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can delete a file there that is open")
@pytest.mark.parametrize("by_name", [True, False])
def test_a_folder_of_downloads_that_was_deleted_is_made_anew(hub: HubServer, tmp_path: Path, by_name: bool) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            await made.manager.pause(job.id)
            shutil.rmtree(tmp_path / ".downloads")
            hold = hub.hold(F16, after=HALF)
            again = made.manager.pull(f"{BIG}:F16") if by_name else made.manager.resume(job.id)
            assert (await again).state is QUEUED
            async with bench(tmp_path) as other:
                with pytest.raises(Conflict, match="Another fluid-server program"):
                    await other.manager.pull(f"{BIG}:F16")
            await made.manager.pause(job.id)
            hold.release()
            await made.manager.resume(job.id)
            assert (await made.end(job.id)).state is COMPLETED
            assert made.left() == []

    run(work())


@pytest.mark.parametrize("code", ["download_damaged", "insufficient_disk_space", "repository_gated", "conflict"])
def test_a_failure_comes_back_as_what_it_was(code: str) -> None:
    error = failure_of(code, "text")
    assert (error.code, error.message, type(error).code) == (code, "text", code)
    assert type(failure_of("nobody_knows", "text")) is FluidError


def test_an_order_of_an_unreadable_job_begins_anew_with_what_is_there(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
        (tmp_path / ".downloads" / job.id / "job.json").write_text("{", encoding="utf-8")
        async with bench(tmp_path) as made:
            assert (await made.fetch(f"{BIG}:F16")).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16) == [(0, HALF), (HALF, SIZE)]


def test_who_asked_and_left_does_not_end_the_job(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            asking = asyncio.create_task(made.manager.pull(TINY))
            await until(made.left)
            asking.cancel()
            await until(made.manager.downloads)
            (job,) = made.manager.downloads()
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
