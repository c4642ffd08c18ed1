"""fluid-server service on Linux, by a systemctl that really starts what the unit says."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fluid_server.cli import service_plan, service_systemd
from tests.cli.fake_systemd import installed
from tests.cli.program import Ran, ran

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
FLAGS = ("--port", "0", "--no-warm-up", "--echo")


@dataclass(frozen=True)
class Box:
    """A home of its own with a systemd of its own."""

    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        """``fluid-server service`` in the folder of the models."""
        return ran("service", *arguments, folder=self.folder, env={**self.env, **(env or {})})

    def well(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """What it says where all goes well."""
        done = self.run(*arguments, env=env)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def asked(self) -> list[str]:
        """What systemctl was asked."""
        return (self.folder / "bin" / "asked").read_text(encoding="utf-8").splitlines()

    @property
    def settings(self) -> Path:
        """The service's own folder."""
        return self.folder / "config" / "fluid-server" / "services" / "fluid-server"

    @property
    def unit(self) -> Path:
        """What systemd reads."""
        return self.folder / "config" / "systemd" / "user" / "fluid-server.service"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A home whose services end with the test."""
    monkeypatch.setattr(service_plan, "CACHES", set())  # where the tests' own Python may lie
    folder = tmp_path / "a folder"
    (folder / "models").mkdir(parents=True)
    programs = installed(folder / "bin")
    env = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    made = Box(folder, env)
    yield made
    made.run("remove")


def test_a_service_serves_with_the_settings_that_were_found(box: Box) -> None:
    box.well("install", "--", *FLAGS, env={"FLUID_API_KEY": 'se"sa\\me $PATH %h', "FLUID_MAX_CHOICES": "3"})
    told = json.loads(box.well("status", "--json"))
    assert (told["running"], told["enabled"]) == (True, True)
    assert httpx.get(f"{told['url']}/v1/models").status_code == 401
    key = {"Authorization": 'Bearer se"sa\\me $PATH %h'}
    models = httpx.get(f"{told['url']}/v1/models", headers=key)
    assert [model["id"] for model in models.json()["data"]] == ["echo"]
    assert f"--model-path={box.folder / 'models'}" in told["service"]["command"]
    assert "--max-choices=3" in told["service"]["command"]
    # Installing again replaces the settings and keeps the key.
    assert box.well("install", "--", *FLAGS, "--max-choices", "5").startswith("Replaced ")
    again = json.loads(box.well("status", "--json"))
    assert again["pid"] != told["pid"]
    assert httpx.get(f"{again['url']}/v1/models", headers=key).status_code == 200
    assert "--max-choices=5" in again["service"]["command"]
    # And with --no-start it ends what ran.
    assert "It is off" in box.well("install", "--no-start", "--", *FLAGS)
    assert box.run("status").returncode == 3


def test_it_stays_off_until_it_is_started(box: Box) -> None:
    assert "It is off" in box.well("install", "--no-start", "--", *FLAGS)
    assert box.run("status").returncode == 3
    assert "runs (process " in box.well("start")
    pid = json.loads(box.well("status", "--json"))["pid"]
    assert f"(process {pid})" in box.well("start")  # it runs already
    assert "stays off" in box.well("stop")
    off = box.run("status")
    assert off.returncode == 3
    assert "does not run: inactive (dead). It is off" in off.stdout
    assert "Fluid Server" in box.well("logs")


def test_removing_leaves_data_and_keys_and_says_so(box: Box) -> None:
    box.well("install", "--no-start", "--", *FLAGS, env={"FLUID_API_KEY": "sesame"})
    said = box.well("remove")
    assert not box.unit.exists()
    assert "sesame" in (box.settings / ".env").read_text(encoding="utf-8")
    assert f"  {box.settings}\n" in said
    assert f"  {box.folder / 'models'}\n" in said
    assert box.run("status").returncode == 4
    assert box.well("remove") == "No service 'fluid-server' is installed.\n"


def test_secrets_are_in_a_file_for_the_owner_alone_and_nowhere_else(box: Box) -> None:
    said = box.well("install", "--no-start", "--", *FLAGS, "--api-key", "sesame")
    file = box.settings / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    others = [box.unit.read_text(encoding="utf-8"), (box.settings / "installed.json").read_text(encoding="utf-8"), said]
    assert not any("sesame" in text for text in [*others, *box.asked()])


def test_printing_touches_nothing(box: Box) -> None:
    printed = box.run("install", "--print", "--", "--api-key", "sesame", "--device", "GPU")
    assert printed.stdout.count("[Service]") == 1
    assert "--device=GPU" in printed.stdout
    assert "sesame" not in printed.stdout + printed.stderr
    assert f"kept in {box.settings / '.env'}" in printed.stderr
    assert not (box.folder / "config").exists()
    assert not (box.folder / "bin" / "asked").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["install", "--", "--prot", "1"], "--prot"),
        (["install", "--", "--port", "abc"], "--port (FLUID_PORT)"),
        (["install", "--", "--host", "0.0.0.0"], "FLUID_API_KEY"),
        (["install", "--", "--reload"], "--reload"),
        (["install", "--", "--parent-pid", "1"], "--parent-pid"),
        (["install", "--name", "a b"], "'a b'"),
        (["install", "--", "--api-key", "${HOME}"], "FLUID_API_KEY"),
        (["status", "--", "--port", "1"], "What follows -- is for install"),
        (["status", "--print"], "--print is for install"),
        (["status", "--lines", "3"], "--lines is for logs"),
        (["sing"], "sing"),
    ],
    ids=" ".join,
)
def test_what_no_service_can_be_is_refused_before_anything_is_touched(
    box: Box, arguments: list[str], named: str
) -> None:
    done = box.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not (box.folder / "config").exists()


@pytest.mark.parametrize("action", ["start", "stop", "restart", "logs"])
def test_what_is_not_installed_cannot_be_told_anything(box: Box, action: str) -> None:
    done = box.run(action)
    assert done.returncode == 1
    assert "'fluid-server service install' installs it" in done.stderr


def test_without_systemd_another_way_is_told(box: Box) -> None:
    done = box.run("install", env={"PATH": str(box.folder)})
    assert done.returncode == 1
    assert "no systemd" in done.stderr
    assert "--print" in done.stderr
    assert not (box.folder / "config").exists()


def test_the_words_of_systemd_are_handed_on(box: Box) -> None:
    (box.folder / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n", "utf-8")
    done = box.run("install")
    assert done.returncode == 1
    assert "Failed to connect to bus. A session that was not logged into" in done.stderr


def test_a_system_s_service_needs_what_its_user_can_read(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    units = box.folder / "units"
    monkeypatch.setattr(service_systemd, "SYSTEM_UNITS", units)
    monkeypatch.setattr(service_systemd, "SYSTEM_SETTINGS", box.folder / "etc")
    done = box.run("install", "--system", "--", "--model-path", str(box.folder / "models"))  # pytest's are the user's
    assert done.returncode == 1
    assert "as a user of its own, which may not read /" in done.stderr
    assert "--user NAME" in done.stderr
    assert not units.exists()
