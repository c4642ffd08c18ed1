"""A service on Windows: a task of the Task Scheduler.

Why no Windows service: its process must answer the service manager within 30 seconds of its start and then obey it,
which takes pywin32 or a wrapper beside the program; and it would run as an account that sees neither this user's models
nor an installation in this user's folders. Every Windows has the Task Scheduler, and a task needs no administrator.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from fluid_server.cli.service_commands import asked, told
from fluid_server.cli.service_files import end_of, remembered, written
from fluid_server.cli.service_plan import Places, Plan, Scope, State
from fluid_server.cli.service_server import end_process, server_in
from fluid_server.errors import ConfigError, FluidError

RUNNING, DISABLED = 4, 1  # TASK_STATE, which PowerShell gives as a number: the words are translated
STATES = {0: "unknown", DISABLED: "off", 2: "queued", 3: "waiting to be started", RUNNING: "running"}
LOOK = (
    "$ErrorActionPreference = 'Stop'; "
    "$task = Get-ScheduledTask -TaskPath '\\' -TaskName '{name}' -ErrorAction SilentlyContinue; "
    "if ($task) {{ [int]$task.State }} else {{ 'absent' }}"
)
VARIABLE = re.compile(r"%[^%=]+%")
NEEDS_RIGHTS = "A service of the whole system is installed from a prompt of an administrator."

# The scheduler takes a program that has ended for one that has done its work, whatever its exit code, so what starts a
# server again is the trigger that tries each minute and is ignored while the task runs (IgnoreNew). Without Priority 5
# the process and its disk would run below all others (7 is what tasks get), without the ExecutionTimeLimit it would be
# ended after three days. conhost --headless gives the program a console that nobody sees.
TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{description}</Description>
  </RegistrationInfo>
  <Triggers>
    {trigger}
    <TimeTrigger>
      <Enabled>true</Enabled>
      <StartBoundary>2026-01-01T00:00:00</StartBoundary>
      <Repetition>
        <Interval>PT1M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
    </TimeTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{sid}</UserId>
      <LogonType>{logon}</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>false</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\\System32\\conhost.exe</Command>
      <Arguments>--headless {command}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""
AT_LOGON = "<LogonTrigger><Enabled>true</Enabled><UserId>{sid}</UserId></LogonTrigger>"
AT_BOOT = "<BootTrigger><Enabled>true</Enabled></BootTrigger>"


class WindowsTask:
    """One task, at the top of the scheduler's library."""

    def __init__(self, name: str, scope: Scope) -> None:
        self._name = name
        self._scope = scope

    @property
    def places(self) -> Places:
        """In the user's own folder, also for a task that runs before anybody logs on: it runs as this user."""
        from platformdirs import user_config_path

        settings = user_config_path("fluid-server", appauthor=False) / "services" / self._name
        log_file = settings / "logs" / f"{self._name}.log"
        return Places(definition=f"the task \\{self._name}", settings=settings, log_file=log_file)

    def check(self, plan: Plan) -> None:
        """Errors: FluidError for another user; ConfigError for what the scheduler would read otherwise."""
        if plan.user:
            raise FluidError("On Windows a service runs as whoever installs it: leave --user out.")
        refuse_variables(plan)

    def definition(self, plan: Plan) -> str:
        """The task's XML."""
        return task_of(plan, own_sid())

    def install(self, plan: Plan) -> None:
        """Register the task, switched off."""
        self._end()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "task.xml"
            written(file, self.definition(plan), encoding="utf-16")  # as its first line says
            told("schtasks", "/Create", "/TN", self._name, "/XML", str(file), "/F",
                 hint=NEEDS_RIGHTS if self._scope is Scope.SYSTEM else "")  # fmt: skip

    def remove(self) -> None:
        """End it and delete the task."""
        self._end()
        told("schtasks", "/Delete", "/TN", self._name, "/F")

    def start(self) -> None:
        """Switch it on and run it."""
        self._end()
        told("schtasks", "/Change", "/TN", self._name, "/ENABLE")
        told("schtasks", "/Run", "/TN", self._name)

    def stop(self) -> None:
        """Switch it off, else the next minute would start it again, and end it."""
        told("schtasks", "/Change", "/TN", self._name, "/DISABLE")
        self._end()

    def state(self) -> State:
        """The task's state, and whether its server runs."""
        said = told("powershell", "-NoProfile", "-NonInteractive", "-Command", LOOK.format(name=self._name))
        return state_of(said, self._server())

    def log(self, lines: int) -> str:
        """The end of the log file."""
        record = remembered(self.places.settings)
        return end_of(Path(record.log_file), lines) if record and record.log_file else ""

    def _server(self) -> int | None:
        """The server's process, where it runs."""
        record = remembered(self.places.settings)
        server = server_in(record) if record else None
        return server.pid if server else None

    def _end(self) -> None:
        """End the task and, since the task is a console around it, the server. Its workers end by themselves."""
        server = self._server()
        asked("schtasks", "/End", "/TN", self._name)
        if server is not None:
            end_process(server)


def task_of(plan: Plan, sid: str) -> str:
    """The task's XML. ``sid``: the user as whom it runs. Errors: ConfigError."""
    refuse_variables(plan)
    system = plan.scope is Scope.SYSTEM
    return TASK.format(
        description=escape(plan.description),
        trigger=AT_BOOT if system else AT_LOGON.format(sid=escape(sid)),
        sid=escape(sid),
        logon="S4U" if system else "InteractiveToken",
        command=escape(subprocess.list2cmdline(plan.command)),
        folder=escape(str(plan.folder)),
    )


def refuse_variables(plan: Plan) -> None:
    """Errors: ConfigError for %NAME% in the command or its folder.

    The scheduler puts the value of a variable in its place, and the console around the server does so once more. There
    is no escape: of two percent signs ExpandEnvironmentStrings makes two, and quotes in between do not outlast the
    console's own reading.
    """
    for word in (*plan.command, str(plan.folder)):
        if found := VARIABLE.search(word):
            raise ConfigError(
                f"Windows' Task Scheduler would put a variable's value in place of '{found.group()}' in '{word}', and "
                "it has no way to write that itself. Choose a name without it."
            )


def own_sid() -> str:
    """Who we are, in the form that is the same in every language of Windows."""
    return told("whoami", "/user", "/fo", "csv", "/nh").rsplit(",", 1)[-1].strip().strip('"')


def state_of(said: str, server: int | None) -> State:
    """What PowerShell's number means."""
    if not said.strip().isdigit():
        return State(installed=False)
    number = int(said)
    return State(
        installed=True,
        running=number == RUNNING,
        enabled=number != DISABLED,
        pid=server if number == RUNNING else None,
        detail=STATES.get(number, f"state {number}"),
    )
