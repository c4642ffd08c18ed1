"""A service on macOS: a launch agent of the user."""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path

from fluid_server.cli.service_commands import asked, told
from fluid_server.cli.service_files import end_of, remembered, removed, written
from fluid_server.cli.service_plan import Places, Plan, Scope, State
from fluid_server.errors import FluidError


def _own_number() -> int:
    """The user's; Windows has none."""
    if sys.platform == "win32":
        return 0
    return os.getuid()


class Launchd:
    """One agent in the user's session."""

    def __init__(self, name: str, scope: Scope) -> None:
        self._name = name
        self._scope = scope
        self._domain = f"gui/{_own_number()}"
        self._target = f"{self._domain}/{name}"

    @property
    def places(self) -> Places:
        """In the user's folders."""
        from platformdirs import user_config_path

        settings = user_config_path("fluid-server", appauthor=False) / "services" / self._name
        log_file = settings / "logs" / f"{self._name}.log"
        return Places(definition=str(self._plist), settings=settings, log_file=log_file)

    @property
    def _plist(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{self._name}.plist"

    def check(self, plan: Plan) -> None:
        """Errors: FluidError for what a launch agent cannot be."""
        if plan.scope is Scope.SYSTEM or plan.user:
            raise FluidError("On macOS a service runs in the session of its user: leave --system and --user out.")

    def definition(self, plan: Plan) -> str:
        """The property list."""
        return plist_of(plan)

    def install(self, plan: Plan) -> None:
        """Write the list. launchd reads it when it is started."""
        written(self._plist, self.definition(plan))

    def remove(self) -> None:
        """End it and delete the list."""
        asked("launchctl", "bootout", self._target)
        removed(self._plist)

    def start(self) -> None:
        """Read the list anew, which starts it."""
        asked("launchctl", "bootout", self._target)
        told("launchctl", "enable", self._target)
        told("launchctl", "bootstrap", self._domain, str(self._plist))

    def stop(self) -> None:
        """End it, and keep it from the next session."""
        told("launchctl", "disable", self._target)
        asked("launchctl", "bootout", self._target)

    def state(self) -> State:
        """What ``launchctl print`` says, where it is loaded."""
        said = asked("launchctl", "print", self._target)
        return state_of(said.out if said.code == 0 else None, installed=self._plist.exists())

    def log(self, lines: int) -> str:
        """The end of the log file."""
        record = remembered(self.places.settings)
        return end_of(Path(record.log_file), lines) if record and record.log_file else ""


def plist_of(plan: Plan) -> str:
    """The agent's property list: started with the session, and again where it ends with a failure."""
    return plistlib.dumps(
        {
            "Label": plan.name,
            "ProgramArguments": plan.command,
            "WorkingDirectory": str(plan.folder),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": max(15, round(plan.grace) + 10),
            "ProcessType": "Interactive",  # the other kinds are slowed down
        },
        sort_keys=False,
    ).decode()


def state_of(said: str | None, *, installed: bool) -> State:
    """What the lines ``key = value`` mean; None where launchd does not know it."""
    if said is None:
        return State(installed=installed, detail="not loaded")
    pairs = [line.strip().partition(" = ") for line in said.splitlines()]
    values = {key: value for key, found, value in reversed(pairs) if found}  # the first of each key is the agent's own
    pid = values.get("pid", "")
    code = values.get("last exit code", "")
    detail = values.get("state", "unknown") + (f", last exit code {code}" if code.lstrip("-").isdigit() else "")
    return State(
        installed=True,
        running=values.get("state") == "running",
        enabled=True,
        pid=int(pid) if pid.isdigit() else None,
        detail=detail,
    )
