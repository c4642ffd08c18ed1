"""A request for a model that is not here yet, by whatever name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluid_server.config import load_config
from fluid_server.errors import ModelDownloading, ModelNotFound
from fluid_server.managers.arrivals import Arrivals
from fluid_server.managers.visitor import Visitor
from tests.hub_server import HubServer
from tests.managers.downloads import F16, GGUF, HALF, Q8, Bench, bench, run, until

REPO, FILE = "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf"


def arrivals(made: Bench) -> Arrivals:
    return Arrivals(load_config({"model_path": made.folder}), made.library, made.manager)


@pytest.mark.parametrize(
    "name", ["qwen3-4b", REPO, REPO.lower(), f"{REPO}:q4_k_m", f"{REPO}/{FILE}", "qwen3-4b-gguf", f"{REPO}@main"]
)
def test_a_model_on_its_way_is_known_by_all_its_names(hub: HubServer, tmp_path: Path, name: str) -> None:
    hub.add(REPO, {FILE: (GGUF / Q8).read_bytes()})
    hub.hold(FILE, after=1000)

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull(REPO)
            with pytest.raises(ModelDownloading, match="is being downloaded") as told:
                await arrivals(made).find(name, Visitor())
            assert told.value.job == job.id
            assert REPO in told.value.message

    run(work())


@pytest.mark.parametrize("name", [f"{REPO}:Q8_0", f"{REPO}/other.gguf", "Qwen/Qwen3-8B-GGUF", "other", "../x", ""])
def test_another_model_is_not_taken_for_it(hub: HubServer, tmp_path: Path, name: str) -> None:
    hub.add(REPO, {FILE: (GGUF / Q8).read_bytes()})
    hub.hold(FILE, after=1000)

    async def work() -> None:
        async with bench(tmp_path) as made:
            await made.manager.pull(REPO)
            with pytest.raises(ModelNotFound):
                await arrivals(made).find(name, Visitor())

    run(work())


def test_a_download_that_was_paused_is_named_and_how_it_goes_on(hub: HubServer, tmp_path: Path) -> None:
    hub.hold(F16, after=HALF)

    async def work() -> None:
        async with bench(tmp_path) as made:
            job = await made.manager.pull("fluid/tiny-gguf:F16")
            await until(lambda: made.manager.download(job.id).bytes_done >= HALF)
            await made.manager.pause(job.id)
            with pytest.raises(ModelNotFound, match=rf"{job.id}.* is paused.*/v1/downloads/{job.id}/resume"):
                await arrivals(made).find("fluid/tiny-gguf", Visitor())

    run(work())
