"""How a download becomes a model: what the catalog sees, and what is here already."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path

import pytest

from fluid_server.catalog.scan import scan
from fluid_server.errors import (
    Conflict,
)
from fluid_server.types import ModelSpec
from tests.catalog.conftest import LANGUAGE_MODEL, gguf_bytes
from tests.hub_server import Fault, HubServer
from tests.managers.downloads import (
    BIG,
    COMPLETED,
    F16,
    FAILED,
    GGUF,
    HASTY,
    OPENVINO,
    SIZE,
    TINY,
    WEIGHTS,
    bench,
    content_requests,
    files_of,
    half,
    is_copy,
    record,
    run,
)


@contextmanager
def after_each_move(monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object]) -> Generator[None, None, None]:
    """Look at every moment at which something has come into its place; in the thread that moves."""
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        moved = real(self, target)
        look(target)
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        yield


def test_nobody_ever_sees_a_partial_model(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.faults.append(Fault(WEIGHTS, cut_after=200_000, times=5))
    seen: list[tuple[ModelSpec, ...]] = []

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert (await made.fetch(TINY)).state is COMPLETED

    with after_each_move(monkeypatch, lambda _: seen.append(scan(tmp_path))):
        run(work())
    assert len(seen) > len(files_of(OPENVINO))
    assert {tuple((spec.id, spec.problem) for spec in specs) for specs in seen} == {(), (("tiny-ov", None),)}


def test_the_parts_of_a_second_quantisation_appear_together(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [f"m-F16-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    small, large = gguf_bytes({**LANGUAGE_MODEL, "general.file_type": 7}), gguf_bytes(LANGUAGE_MODEL)
    hub.add("fluid/two", {"m-Q8_0.gguf": small, **dict.fromkeys(parts, large)})
    asked: list[Future[tuple[ModelSpec, ...]]] = []

    async def work() -> None:
        async with bench(tmp_path) as made:
            await made.fetch("fluid/two:Q8_0")
            loop = asyncio.get_running_loop()

            def ask(moved: Path) -> None:
                if moved.parent.name == "two":
                    asked.append(asyncio.run_coroutine_threadsafe(made.library.specs(fresh=True), loop))
                    wait(asked[-1:], timeout=0.2)  # it gets no answer before all are there

            with after_each_move(monkeypatch, ask):
                assert (await made.fetch("fluid/two:F16")).model == "two:F16"
            answers = [await asyncio.wrap_future(future) for future in asked]
            assert len(answers) == len(parts) + 1
            for specs in answers:
                assert [(spec.id, spec.problem) for spec in specs] == [("two:F16", None), ("two:Q8_0", None)]

    run(work())
    assert set(record(tmp_path / "fluid" / "two")["files"]) == {"m-Q8_0.gguf", *parts}


def test_a_model_that_is_here_is_complete_at_once(hub: HubServer, tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path) as made:
            await made.fetch(TINY)
        hub.requests.clear()
        async with bench(tmp_path) as made:
            done = await made.manager.pull(TINY)
            assert (done.state, done.model) == (COMPLETED, "tiny-ov")
            assert done.bytes_done == done.bytes_total > 0
            assert (await made.end(done.id)) == done
            assert made.left() == []

    run(work())
    assert not content_requests(hub)


def test_of_a_newer_commit_only_what_changed_is_fetched(hub: HubServer, tmp_path: Path) -> None:
    changed = files_of(OPENVINO)
    changed["generation_config.json"] = changed["generation_config.json"].replace(b" ", b"\n")  # of the same size
    changed["chat_template.jinja"] += b"{# new #}"

    async def work() -> None:
        async with bench(tmp_path) as made:
            old = await made.fetch(TINY)
            hub.requests.clear()
            hub.add(TINY, changed)
            new = await made.fetch(TINY)
            assert (new.state, new.model, new.revision == old.revision) == (COMPLETED, "tiny-ov", False)

    run(work())
    assert set(content_requests(hub)) == {"generation_config.json", "chat_template.jinja"}
    assert {name: data for name, data in files_of(tmp_path / TINY).items() if name != ".fluid.json"} == changed
    assert record(tmp_path / TINY)["revision"] == hub.repositories[TINY].sha


def test_a_paused_download_of_an_older_commit_goes_on_with_the_newer_one(hub: HubServer, tmp_path: Path) -> None:
    data = bytearray((GGUF / F16).read_bytes())
    data[SIZE - 1] ^= 1

    async def work() -> None:
        async with bench(tmp_path) as made:
            old = await half(made, hub)
            await made.manager.pause(old.id)
            hub.add(BIG, {**files_of(GGUF), F16: bytes(data)})
            new = await made.fetch(f"{BIG}:F16")
            assert (new.id, new.state, new.revision) == (old.id, COMPLETED, hub.repositories[BIG].sha)

    run(work())
    assert (tmp_path / BIG / F16).read_bytes() == data
    assert hub.sent_ranges(F16)[1:] == [(0, SIZE)]


@pytest.mark.parametrize("added", [{"chat_template.jinja": b"{{ x }}"}, {}])
def test_a_paused_download_goes_on_though_small_files_came_or_went(
    hub: HubServer, tmp_path: Path, added: dict[str, bytes]
) -> None:
    weights = {F16: (GGUF / F16).read_bytes()}

    async def work() -> None:
        async with bench(tmp_path) as made:
            old = await half(made, hub)
            await made.manager.pause(old.id)
            hub.add(BIG, {**weights, **added})
            new = await made.fetch(f"{BIG}:F16")
            assert (new.id, new.state) == (old.id, COMPLETED)
            assert made.left() == []

    run(work())
    assert hub.sent_bytes(F16) == SIZE
    assert files_of(tmp_path / BIG).keys() == {F16, ".fluid.json", *added}


@pytest.mark.parametrize("end", [True, False])
def test_a_model_that_is_broken_is_repaired(hub: HubServer, tmp_path: Path, end: bool) -> None:
    async def work() -> None:
        async with bench(tmp_path, patience=HASTY) as made:
            await made.fetch(f"{BIG}:F16")
            with (tmp_path / BIG / F16).open("r+b") as file:
                file.write(bytes(10))
            job = await half(made, hub)
            if not end:
                assert (await made.end(job.id)).state is COMPLETED
        async with bench(tmp_path) as made:
            if end:
                assert (await made.end(job.id)).state is COMPLETED
            assert [spec.problem for spec in await made.library.specs()] == [None]

    run(work())
    assert is_copy(tmp_path / BIG, GGUF, F16)


def test_another_revision_of_what_is_being_fetched_is_refused(hub: HubServer, tmp_path: Path) -> None:
    hub.add(TINY, {**files_of(OPENVINO), "config.json": b"{}"}, branch="v2")
    hub.hold(WEIGHTS, after=1000)

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull(TINY)
            with pytest.raises(Conflict, match="Another revision"):
                await made.manager.pull(f"{TINY}@v2")
            await made.manager.cancel(job.id)

    run(work())


def test_files_that_were_copied_by_hand_are_kept_if_they_are_right(hub: HubServer, tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / TINY)
    (tmp_path / TINY / "config.json").unlink()
    wrong = bytearray((OPENVINO / "tokenizer.json").read_bytes())
    wrong[100] ^= 1
    (tmp_path / TINY / "tokenizer.json").write_bytes(wrong)
    (tmp_path / TINY / "mine.txt").write_text("mine", encoding="utf-8")

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert (await made.fetch(TINY)).state is COMPLETED
            assert made.left() == []

    run(work())
    assert set(content_requests(hub)) == {"config.json", "tokenizer.json"}
    assert is_copy(tmp_path / TINY, OPENVINO)
    assert (tmp_path / TINY / "mine.txt").exists()


def test_a_model_that_was_copied_by_hand_costs_no_request_for_content(hub: HubServer, tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / TINY)

    async def work() -> None:
        async with bench(tmp_path) as made:
            assert (await made.fetch(TINY)).state is COMPLETED
            assert (await made.manager.pull(TINY)).state is COMPLETED

    run(work())
    assert not content_requests(hub)


def test_a_model_in_use_is_left_whole_and_resuming_installs_the_new_one(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows lets nobody move a file that is open."""
    changed = {**files_of(OPENVINO), "config.json": b"{}", "tokenizer_config.json": b"{}"}
    real, in_use = Path.replace, tmp_path / TINY / "tokenizer_config.json"

    def replace_(self: Path, target: Path) -> Path:
        if in_use in (self, target):
            raise PermissionError(13, "Access is denied", str(self))
        return real(self, target)

    async def work() -> None:
        async with bench(tmp_path) as made:
            await made.fetch(TINY)
            hub.add(TINY, changed)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", replace_)
                broken = await made.fetch(TINY)
            assert (broken.state, broken.error_code) == (FAILED, "conflict")
            assert "Unload the model, then pull it again" in (broken.error_message or "")
            assert str(tmp_path) not in (broken.error_message or "")
            assert is_copy(tmp_path / TINY, OPENVINO)
            hub.requests.clear()
            await made.manager.resume(broken.id)
            assert (await made.end(broken.id)).state is COMPLETED
            assert made.left() == []

    run(work())
    assert not content_requests(hub)
    assert (tmp_path / TINY / "config.json").read_bytes() == b"{}"
