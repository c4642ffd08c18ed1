"""The unit for systemd, and what systemd says of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fluid_server.cli.service_plan import Plan, Scope, State
from fluid_server.cli.service_systemd import closed_to_others, state_of, unit_of, word
from tests.cli.fake_systemd import words

PLAN = Plan(
    name="fluid-server", scope=Scope.USER, user=None, flags=("--port=9000", '--llm-model=a "b" \\ $c %d'), secrets={},
    folder=Path("/home/me/a %folder"), environment=Path("/home/me/a %folder/.env"), data=None, log_file=None, grace=1,
)  # fmt: skip
SYSTEM = replace(
    PLAN, scope=Scope.SYSTEM, folder=Path("/var/lib/fluid-server"), environment=Path("/etc/fluid-server/x/.env"),
    data=Path("/var/lib/fluid-server"), writable=(Path("/var/lib/fluid-server"), Path("/srv/my models")),
)  # fmt: skip
HIDING = ("PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute", "PrivateUsers")


def settings(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("plan", [PLAN, SYSTEM, replace(SYSTEM, user="me")], ids=["user", "system", "as me"])
def test_systemd_finds_nothing_wrong_with_a_unit(plan: Plan, tmp_path: Path) -> None:
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("systemd-analyze is not here")
    file = tmp_path / "fluid-server.service"
    file.write_text(unit_of(plan, ["render", "video"]), encoding="utf-8")
    manager = "--user" if plan.scope is Scope.USER else "--system"
    done = subprocess.run(
        [analyse, manager, "verify", str(file)], capture_output=True, text=True, check=False, timeout=30
    )
    said = [line for line in done.stderr.splitlines() if str(file) in line or "fluid-server.service" in line]
    assert said == []


@pytest.mark.parametrize("plan", [PLAN, SYSTEM])
def test_the_command_is_run_as_it_was_meant(plan: Plan) -> None:
    assert words(settings(unit_of(plan, []))["ExecStart"]) == plan.command


def test_words_are_not_expanded() -> None:
    assert word('a "b" \\ $c %d') == r'"a \"b\" \\ $$c %%d"'
    assert word("a\nExecStartPre=b\r") == r'"a\nExecStartPre=b\r"'
    assert word("$c %d", command=False) == '"$c %%d"'


@pytest.mark.parametrize("plan", [PLAN, SYSTEM])
def test_it_is_started_again_unless_its_settings_are_wrong(plan: Plan) -> None:
    told = settings(unit_of(plan, []))
    assert (told["Restart"], told["RestartSec"]) == ("on-failure", "5")
    assert told["RestartPreventExitStatus"] == "2 14"
    assert (told["KillMode"], told["OOMPolicy"]) == ("mixed", "continue")
    assert int(told["TimeoutStopSec"]) >= 15
    assert settings(unit_of(replace(plan, grace=60), []))["TimeoutStopSec"] == "70"


@pytest.mark.parametrize("plan", [PLAN, SYSTEM])
def test_nothing_hides_the_devices_or_forbids_compiled_code(plan: Plan) -> None:
    assert not settings(unit_of(plan, [])).keys() & set(HIDING)


def test_a_user_s_unit_starts_with_the_session() -> None:
    told = settings(unit_of(PLAN, []))
    assert told["WantedBy"] == "default.target"
    assert (told["WorkingDirectory"], told["EnvironmentFile"]) == (
        "/home/me/a %%folder", "-/home/me/a %%folder/.env",
    )  # fmt: skip
    assert not told.keys() & {"User", "DynamicUser", "ProtectSystem", "StateDirectory", "After"}


def test_a_system_s_unit_runs_as_a_user_of_its_own_who_may_use_the_devices() -> None:
    told = settings(unit_of(SYSTEM, ["render", "video"]))
    assert (told["WantedBy"], told["DynamicUser"], told["StateDirectory"]) == (
        "multi-user.target", "yes", "fluid-server",
    )  # fmt: skip
    assert told["SupplementaryGroups"] == "render video"
    assert told["ReadWritePaths"] == '"-/srv/my models"'
    assert "SupplementaryGroups" not in settings(unit_of(SYSTEM, []))


def test_a_system_s_unit_can_run_as_somebody() -> None:
    told = settings(unit_of(replace(SYSTEM, user="me"), []))
    assert told["User"] == "me"
    assert "DynamicUser" not in told


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (
            "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=7\nNRestarts=2\n"
            "Result=success\nExecMainStatus=0",
            State(installed=True, running=True, enabled=True, pid=7, restarts=2, detail="active (running)"),
        ),
        (
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=disabled\nMainPID=0\nNRestarts=0\n"
            "Result=exit-code\nExecMainStatus=10",
            State(installed=True, restarts=0, detail="failed (failed), exit-code, exit code 10"),
        ),
        (
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nMainPID=0\n"
            "NRestarts=3\nResult=signal\nExecMainStatus=9",
            State(installed=True, enabled=True, restarts=3, detail="activating (auto-restart), killed by signal 9"),
        ),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nNRestarts=0",
         State(installed=False, restarts=0, detail="inactive (dead)")),
    ],
    ids=["runs", "failed", "waits to be started again", "absent"],
)  # fmt: skip
def test_what_systemd_says(said: str, state: State) -> None:
    assert state_of(said) == state


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_what_others_may_not_read_is_found(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.touch(mode=0o700)
    assert closed_to_others([Path("/usr/bin/env"), Path("/nowhere/at/all")]) is None
    found = closed_to_others([Path("/usr/bin/env"), file])
    assert found in {file, *file.parents}
