"""Downloads: from a name to a job, what is refused, and how they are watched."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from fluid_server.errors import (
    Conflict,
    FluidError,
    HubTokenRejected,
    HubUnreachable,
    InvalidRequest,
    Offline,
    OutOfDisk,
    RepositoryGated,
    RepositoryNotFound,
)
from tests.front_door import until as wait_until
from tests.hub_server import GOOD_TOKEN, HubServer, use_endpoint
from tests.managers.downloads import (
    BIG,
    CHUNK,
    COMPLETED,
    F16,
    FAILED,
    GGUF,
    HALF,
    OPENVINO,
    Q8,
    SIZE,
    TINY,
    WEIGHTS,
    Program,
    bench,
    content_requests,
    half,
    is_copy,
    record,
    run,
    sha256,
)


def test_a_model_comes_whole_and_the_catalog_has_it(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            done = await made.fetch(TINY)
            assert (done.state, done.model, done.repo) == (COMPLETED, "tiny-ov", TINY)
            assert done.bytes_done == done.bytes_total == sum(file.size for file in done.files)
            assert done.ended is not None
            assert [spec.id for spec in await made.library.specs() if not spec.problem] == ["tiny-ov"]
            assert made.left() == []
            assert made.counted("fluid_downloads_total", outcome="completed") == 1
            assert made.counted("fluid_download_bytes_total") == done.bytes_total

    run(work())
    assert is_copy(tmp_path / TINY, OPENVINO)


def test_the_record_says_what_came_from_where(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            await made.fetch(f"{BIG}:F16")

    run(work())
    found = record(tmp_path / BIG)
    assert (found["repo"], found["revision"]) == (BIG, hub.repositories[BIG].sha)
    assert found["files"][F16] == {"path": F16, "size": SIZE, "sha256": sha256(GGUF / F16)}
    assert set(found["files"]["generation_config.json"]) == {"path", "size", "git_sha1"}


def test_a_preset_is_fetched_by_its_alias(hub: HubServer, tmp_path: Path) -> None:
    hub.add("OpenVINO/Qwen3-4B-int4-ov", OPENVINO)

    async def work() -> None:
        async with bench(tmp_path) as made:
            done = await made.fetch("qwen3-4b-ov")
            assert (done.state, done.name, done.repo) == (COMPLETED, "qwen3-4b-ov", "OpenVINO/Qwen3-4B-int4-ov")

    run(work())


def test_all_names_of_the_same_files_make_one_job(hub: HubServer, tmp_path: Path) -> None:
    repo = "OpenVINO/Qwen3-4B-int4-ov"
    hub.add(repo, OPENVINO)
    hold = hub.hold(WEIGHTS, after=CHUNK)

    async def work() -> None:
        async with bench(tmp_path) as made:
            names = (repo, "qwen3-4b-ov", f"{repo}@main", f"https://huggingface.co/{repo}", "QWEN3-4B-OV")
            jobs = await asyncio.gather(*(made.manager.pull(name) for name in names))
            assert len({job.id for job in jobs}) == len(made.manager.downloads()) == 1
            hold.release()
            assert (await made.end(jobs[0].id)).state is COMPLETED

    run(work())
    assert hub.sent_bytes(WEIGHTS) == (OPENVINO / WEIGHTS).stat().st_size


def test_the_name_without_and_with_the_quantisation_is_the_same_job(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            jobs = [await made.manager.pull(name) for name in (BIG, f"{BIG}:q8_0", f"{BIG}/{Q8}", f"{BIG}:F16")]
            assert len({job.id for job in jobs[:3]}) == 1
            assert jobs[3].id != jobs[0].id
            for job in jobs:
                assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_bytes(Q8) == (GGUF / Q8).stat().st_size


def test_a_name_that_cannot_be_is_refused(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            for name in ("../../etc", "no-slash", f"{BIG}:Q2_K"):
                with pytest.raises(InvalidRequest):
                    await made.manager.pull(name)
            assert made.manager.downloads() == []

    run(work())
    assert not content_requests(hub)


def test_a_short_name_is_answered_by_what_is_known_and_what_is_here(hub: HubServer, tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / "llm" / "fluid-tiny-ov")

    async def work() -> None:
        async with bench(tmp_path) as made:
            with pytest.raises(InvalidRequest, match=r"'qwen3-4bx' is no known model. Did you mean .*'qwen3-4b"):
                await made.manager.pull("qwen3-4bx")
            done = await made.manager.pull("fluid-tiny-ov")
            assert (done.state, done.model) == (COMPLETED, "fluid-tiny-ov")
            assert await made.end(done.id) == done
            assert made.left() == []

    run(work())
    assert not hub.requests


@pytest.mark.parametrize("way", ["fluid", TINY])
def test_a_place_that_cannot_be_used_is_found_before_the_first_byte(hub: HubServer, tmp_path: Path, way: str) -> None:
    (tmp_path / way).parent.mkdir(exist_ok=True)
    (tmp_path / way).write_text("a file", encoding="utf-8")

    async def work() -> None:
        async with bench(tmp_path) as made:
            with pytest.raises(Conflict, match=f"'{way}' in the models folder is a file"):
                await made.manager.pull(TINY)
            assert made.left() == []
            (tmp_path / way).unlink()
            assert (await made.fetch(TINY)).state is COMPLETED

    run(work())


@pytest.mark.skipif(sys.platform == "win32", reason="links want a right there")
def test_a_link_to_nothing_is_named(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / TINY).parent.mkdir()
    (tmp_path / TINY).symlink_to(tmp_path / "nowhere")

    async def work() -> None:
        async with bench(tmp_path) as made:
            with pytest.raises(Conflict, match=f"'{TINY}' in the models folder is a link to nothing"):
                await made.manager.pull(TINY)

    run(work())
    assert not content_requests(hub)


def claim(hub: HubServer, repo: str, path: str, size: int) -> None:
    hub.repositories[repo].files[path].claims["size"] = size


def test_what_does_not_fit_is_refused_before_the_first_byte(hub: HubServer, tmp_path: Path) -> None:
    claim(hub, TINY, WEIGHTS, 10**18)

    async def work() -> None:
        async with bench(tmp_path) as made:
            with pytest.raises(OutOfDisk, match=r"needs 1000000000\.\d GB more on the disk; \d+\.\d [GM]B are free"):
                await made.manager.pull(TINY)
            assert made.manager.downloads() == []
            assert made.left() == []

    run(work())
    assert not content_requests(hub)


def test_what_other_downloads_still_need_is_counted(hub: HubServer, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    hub.add("fluid/huge", {"huge-F16.gguf": b"GGUF"})
    claim(hub, "fluid/huge", "huge-F16.gguf", free * 2 // 3)  # others write to this disk too
    hub.add("fluid/other", {"other-F16.gguf": b"GGUF"})
    claim(hub, "fluid/other", "other-F16.gguf", free // 2)
    hub.hold("huge-F16.gguf", after=0, times=9)

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull("fluid/huge")
            with pytest.raises(OutOfDisk, match=r"needs \d+\.\d [GM]B .*, and other downloads \d+\.\d [GM]B; \d+"):
                await made.manager.pull("fluid/other")
            await made.manager.pause(job.id)
            await made.manager.pause((await made.manager.pull("fluid/other")).id)

    run(work())


def test_each_refusal_of_the_hub_has_its_own_error(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("fluid/gated", OPENVINO, gated=True)

    async def refused(name: str, error: type[FluidError]) -> None:
        async with bench(tmp_path) as made:
            with pytest.raises(error):
                await made.manager.pull(name)
            assert made.manager.downloads() == []
            assert made.left() == []

    run(refused("fluid/gated", RepositoryGated))
    hub.use(monkeypatch, token=GOOD_TOKEN)
    run(refused("fluid/nothing", RepositoryNotFound))
    hub.use(monkeypatch, token="hf_wrong")
    run(refused(TINY, HubTokenRejected))
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    run(refused(TINY, HubUnreachable))


def test_a_server_that_runs_offline_fetches_nothing(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, offline=True) as made:
            with pytest.raises(Offline):
                await made.manager.pull(TINY)

    run(work())
    assert not hub.requests


def test_another_program_that_fetches_the_same_is_told_of(hub: HubServer, tmp_path: Path) -> None:
    hub.hold(F16, after=HALF)
    program = Program(hub, tmp_path, f"{BIG}:F16")
    wait_until(lambda: [file for file in tmp_path.rglob("*.part") if file.stat().st_size == HALF])

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert made.manager.downloads() == []
            with pytest.raises(Conflict, match="Another fluid-server program is fetching"):
                await made.manager.pull(f"{BIG}:F16")
            program.kill()
            assert (await made.fetch(f"{BIG}:F16")).state is COMPLETED

    run(work())
    assert sha256(tmp_path / BIG / F16) == sha256(GGUF / F16)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_disk_that_fills_up_fails_it_and_it_can_be_resumed(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await half(made, hub)
            await made.manager.pause(job.id)
            part = tmp_path / ".downloads" / job.id / "files" / f"{F16}.part"
            kept = part.rename(part.with_name("kept"))
            part.symlink_to("/dev/full")
            await made.manager.resume(job.id)
            failed = await made.end(job.id)
            assert (failed.state, failed.error_code) == (FAILED, "insufficient_disk_space")
            kept.replace(part)
            await made.manager.resume(job.id)
            assert (await made.end(job.id)).state is COMPLETED

    run(work())
    assert hub.sent_ranges(F16)[-1] == (HALF, SIZE)
