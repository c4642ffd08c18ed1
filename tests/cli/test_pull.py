"""fluid-server pull: a model comes from the Hub, by itself or through a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.program import CTRL_C, ON_A_TERMINAL, Terminal, interrupted, ran, refused, started, told, well
from tests.front_door import MODELS, PATIENCE, RunningServer, until
from tests.hub_server import CDN, Fault, HubServer

REPO = "owner/tiny-gguf"
FILE = "fluid-tiny-F16.gguf"
SIZE = (MODELS / "llm" / "fluid-tiny-gguf" / FILE).stat().st_size


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A Hub with one model."""
    with HubServer() as running:
        weights = (MODELS / "llm" / "fluid-tiny-gguf" / FILE).read_bytes()
        running.add(REPO, {FILE: weights, "generation_config.json": b"{}", "README.md": b"# Tiny"})
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the program runs, with an empty models folder."""
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.fixture
def env(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """What makes the program use that Hub; it does so in this process too."""
    hub.use(monkeypatch)
    return {**hub.environment(tmp_path / "home"), "FLUID_PORT": "0", "FLUID_DOWNLOAD_RETRIES": "1"}


def test_a_model_comes_and_can_be_used(folder: Path, env: Mapping[str, str]) -> None:
    with started("pull", REPO, folder=folder, env=env) as pull:
        out, err = pull.communicate(timeout=PATIENCE)
    assert pull.returncode == 0
    assert out.splitlines()[0] == "tiny-gguf is here."
    assert "fluid-server" in out.splitlines()[1]
    assert out.splitlines()[2].endswith("model tiny-gguf")
    assert err.splitlines()[-1] == f"{REPO}: all of it is here, 4.0 MB"
    assert (folder / "models" / "owner" / "tiny-gguf" / FILE).stat().st_size == SIZE
    assert [one["id"] for one in told("list", folder=folder)] == ["tiny-gguf"]


def test_it_is_fetched_once(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    well("pull", REPO, folder=folder, env=env)
    assert "tiny-gguf is here." in well("pull", f"{REPO}:F16", folder=folder, env=env)
    assert hub.sent_bytes(FILE) == SIZE


def test_lines_of_json(folder: Path, env: Mapping[str, str]) -> None:
    lines = [json.loads(text) for text in well("pull", REPO, "--json", folder=folder, env=env).splitlines()]
    assert all(one["object"] == "download" for one in lines)
    assert lines[-1]["state"] == "completed"
    assert lines[-1]["model"] == "tiny-gguf"
    assert lines[-1]["bytes_done"] == lines[-1]["bytes_total"] == SIZE + 2


def test_a_model_that_nothing_runs_yet(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    some = MODELS / "whisper/fluid-tiny-whisper-ov/openvino_detokenizer"
    graph = {f"unet/openvino_model.{end}": some.with_suffix(f".{end}").read_bytes() for end in ("xml", "bin")}
    hub.add("owner/pictures-ov", {**graph, "model_index.json": b'{"unet": ["x", "y"]}'})
    said = well("pull", "owner/pictures-ov", folder=folder, env=env)
    assert "No runtime for image models in openvino format exists yet." in said


def test_a_short_name_that_is_nearly_known(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    said = refused("pull", "qwen3-5b", folder=folder, env=env)
    assert "Did you mean 'qwen3-" in said
    assert hub.requests == []


def test_what_the_hub_refuses(folder: Path, env: Mapping[str, str]) -> None:
    assert "There is no repository 'owner/nope'" in refused("pull", "owner/nope", folder=folder, env=env)
    assert "It has: F16" in refused("pull", f"{REPO}:Q2_K", folder=folder, env=env)
    assert "offline" in refused("pull", REPO, folder=folder, env={**env, "FLUID_OFFLINE": "1"})


def test_a_failure_keeps_what_has_come(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hub.faults += [Fault(FILE, cut_after=1_000_000), Fault(FILE, at=CDN, status=404, times=3)]
    done = ran("pull", REPO, folder=folder, env=env)
    assert done.returncode == 1
    assert "Stopped at 24 %. What has come is kept" in done.stderr
    hub.faults.clear()
    well("pull", REPO, folder=folder, env=env)
    assert hub.sent_ranges(FILE)[-1][0] > 0


def test_what_it_waits_for_is_told(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hub.faults.append(Fault(FILE, cut_after=0))  # the wait after a try that brings something is too short to be told
    done = ran("pull", REPO, folder=folder, env=env)
    assert done.returncode == 0
    assert "again" in done.stderr


@CTRL_C
def test_ctrl_c_pauses_and_the_same_command_goes_on(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hold = hub.hold(FILE, after=3_000_000)
    with started("pull", REPO, folder=folder, env=env) as pull:
        assert hold.reached.wait(PATIENCE)
        until(lambda: _bytes_here(folder) > 2_000_000)
        code, out, err = interrupted(pull)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].endswith(f" %. Go on with: fluid-server pull {REPO}")
    assert "tiny-gguf is here." in well("pull", REPO, folder=folder, env=env)
    assert hub.sent_ranges(FILE)[-1][0] > 2_000_000


@CTRL_C
def test_a_paused_download_is_seen_and_can_be_given_up(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hold = hub.hold(FILE, after=3_000_000)
    with started("pull", REPO, folder=folder, env=env) as pull:
        assert hold.reached.wait(PATIENCE)
        until(lambda: _bytes_here(folder) > 2_000_000)
        assert "downloading" in well("ps", folder=folder)
        assert "Another fluid-server program" in refused("rm", REPO, "-y", folder=folder)
        interrupted(pull)
    for verb in ("ps", "list"):
        assert f"{REPO}  paused" in well(verb, folder=folder)
    assert [one["state"] for one in told("ps", folder=folder)] == ["paused"]
    said = well("rm", REPO, "-y", folder=folder)
    assert said.startswith(f"Deleted the unfinished download of {REPO} (")
    assert list((folder / "models" / ".downloads").glob("*")) == []
    assert "There is no model" in refused("rm", REPO, "-y", folder=folder)


def _bytes_here(folder: Path) -> int:
    parts = (folder / "models" / ".downloads").glob("*/files/*.part")
    return sum(part.stat().st_size for part in parts)


@CTRL_C
def test_ctrl_c_before_anything_has_come(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hold = hub.hold("generation_config.json")  # the first file that is asked for
    with started("pull", REPO, folder=folder, env=env) as pull:
        assert hold.reached.wait(PATIENCE)
        code, out, _ = interrupted(pull)
    assert (code, out) == (130, "")
    assert not (folder / "models" / "owner").exists()


@ON_A_TERMINAL
def test_bars_on_a_terminal(folder: Path, env: Mapping[str, str], hub: HubServer) -> None:
    hold = hub.hold(FILE, after=1_000_000)
    terminal = Terminal("pull", REPO, folder=folder, env=env)
    terminal.wait_for("of 4.0 MB")
    terminal.wait_for("━")
    hold.release()
    assert terminal.end() == 0
    assert "tiny-gguf is here." in terminal.shown


@pytest.fixture
def server(folder: Path, env: Mapping[str, str]) -> Iterator[RunningServer]:
    """A server of the folder, which knows where the Hub is."""
    running = RunningServer.start("--no-warm-up", folder=folder, models=folder / "models", env=env)
    try:
        yield running
    finally:
        running.stop()


def downloads(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.base_url}/downloads").raise_for_status().json()["data"]
    return found


def test_a_running_server_fetches(folder: Path, server: RunningServer) -> None:
    said = well("pull", REPO, folder=folder)
    assert said.splitlines() == [
        "tiny-gguf is here.",
        f"  OpenAI clients:    base_url {server.base_url}, model tiny-gguf",
    ]
    assert [one["state"] for one in downloads(server)] == ["completed"]


def test_what_a_running_server_refuses(folder: Path, server: RunningServer, hub: HubServer) -> None:
    assert "There is no repository 'owner/nope'" in refused("pull", "owner/nope", folder=folder)
    hub.faults.append(Fault(FILE, status=404, times=3))
    done = ran("pull", REPO, "--json", folder=folder)
    assert done.returncode == 1
    assert "error" in json.loads(done.stdout.splitlines()[-1])


@CTRL_C
def test_ctrl_c_pauses_it_in_the_server_too(folder: Path, server: RunningServer, hub: HubServer) -> None:
    hold = hub.hold(FILE, after=3_000_000)
    with started("pull", REPO, folder=folder) as pull:
        assert hold.reached.wait(PATIENCE)
        until(lambda: [one for one in downloads(server) if one["bytes_done"] > 2_000_000])
        assert "downloading" in well("ps", folder=folder)
        code, _, err = interrupted(pull)
    assert code == 130
    assert "Go on with: fluid-server pull" in err
    assert [one["state"] for one in downloads(server)] == ["paused"]
    assert "paused" in well("ps", folder=folder)
    well("pull", REPO, folder=folder)
    assert hub.sent_ranges(FILE)[-1][0] > 2_000_000


@CTRL_C
def test_ctrl_c_does_not_pause_what_somebody_else_started(folder: Path, server: RunningServer, hub: HubServer) -> None:
    hold = hub.hold(FILE, after=1_000_000)
    httpx.post(f"{server.base_url}/models/pull", json={"model": REPO}).raise_for_status()
    assert hold.reached.wait(PATIENCE)
    with started("pull", REPO, "--json", folder=folder) as pull:
        assert pull.stdout is not None
        assert pull.stdout.readline()
        code, _, err = interrupted(pull)
    assert code == 130
    assert f"{REPO} goes on in the server." in err
    assert [one["state"] for one in downloads(server)] == ["downloading"]
    assert f"{REPO}  downloading" in well("list", folder=folder)
    assert "Deleted the unfinished download" in well("rm", REPO, "-y", folder=folder)
    assert [one["state"] for one in downloads(server)] == ["cancelled"]


def test_somebody_else_cancels_it(folder: Path, server: RunningServer, hub: HubServer) -> None:
    hold = hub.hold(FILE, after=1_000_000)
    with started("pull", REPO, folder=folder) as pull:
        assert hold.reached.wait(PATIENCE)
        (download,) = until(lambda: downloads(server))
        httpx.post(f"{server.base_url}/downloads/{download['id']}/cancel").raise_for_status()
        _, err = pull.communicate(timeout=PATIENCE)
    assert pull.returncode == 1
    assert "cancelled" in err.splitlines()[-1]
