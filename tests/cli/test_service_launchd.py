"""The launch agent for macOS, and what launchd says of it."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from fluid_server.cli.service_launchd import Launchd, plist_of, state_of
from fluid_server.cli.service_plan import Plan, Scope, State
from fluid_server.errors import FluidError

PRINTED = """\
gui/501/fluid-server = {
	active count = 1
	path = /Users/me/Library/LaunchAgents/fluid-server.plist
	state = running

	program = /opt/python
	pid = 4711
	last exit code = (never exited)
	spawn type = interactive (4)
	jetsam state = active
	other = {
		state = active
	}
}
"""


def plan(scope: Scope = Scope.USER) -> Plan:
    return Plan(
        name="fluid-server", scope=scope, user=None, flags=("--port=9000",), secrets={"FLUID_API_KEY": "sesame"},
        folder=Path("/Users/me/a folder"), environment=Path("/x/.env"), data=None, log_file=None, grace=1,
    )  # fmt: skip


def test_the_agent_starts_with_the_session_and_again_when_it_fails() -> None:
    told = plistlib.loads(plist_of(plan()).encode())
    assert told["ProgramArguments"] == plan().command
    assert (told["RunAtLoad"], told["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert told["WorkingDirectory"] == str(Path("/Users/me/a folder"))
    assert told["ExitTimeOut"] >= 15


def test_no_secret_is_in_it() -> None:
    assert "sesame" not in plist_of(plan())


def test_there_is_no_system_s_agent() -> None:
    with pytest.raises(FluidError, match="leave --system"):
        Launchd("fluid-server", Scope.SYSTEM).check(plan(Scope.SYSTEM))


def test_what_launchd_says() -> None:
    assert state_of(PRINTED, installed=True) == State(
        installed=True, running=True, enabled=True, pid=4711, detail="running"
    )
    ended = "\tstate = not running\n\tlast exit code = 2\n"
    assert state_of(ended, installed=True).detail == "not running, last exit code 2"


@pytest.mark.parametrize("installed", [True, False])
def test_what_launchd_does_not_know_does_not_run(installed: bool) -> None:
    assert state_of(None, installed=installed) == State(installed=installed, detail="not loaded")
