"""The task for Windows' scheduler, by a schtasks that writes down what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fluid_server import __version__
from fluid_server.cli import announcement
from fluid_server.cli.service_files import Record, remember
from fluid_server.cli.service_plan import Plan, Scope
from fluid_server.cli.service_windows_task import WindowsTask, state_of, task_of
from fluid_server.errors import ConfigError, FluidError
from tests.cli.program import ran, well

SID = "S-1-5-21-1-2-3-1001"
SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
FAKE = pytest.mark.skipif(sys.platform == "win32", reason="Windows has programs of these names, which would be asked")
PROGRAM = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"$(dirname "$0")/asked"
case "$(basename "$0") $*" in
  whoami*) echo '"box\\me","S-1-5-21-1-2-3-1001"' ;;
  powershell*) cat "$(dirname "$0")/state" ;;
  *'/XML'*) cp "$5" "$(dirname "$0")/task.xml" ;;
  *'/Delete'*) if [ -e "$(dirname "$0")/refuse" ]; then echo 'ERROR: Access is denied.' >&2; exit 1; fi ;;
esac
"""


def plan(scope: Scope = Scope.USER, *flags: str) -> Plan:
    return Plan(
        name="fluid-server", scope=scope, user=None, secrets={},
        flags=("--llm-model=a \"b\" & <c>", "--port=9000", *flags),
        folder=Path("C:/Users/me/a folder"), environment=Path("C:/x/.env"), data=None, log_file=None, grace=1,
    )  # fmt: skip


def parsed(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml.replace('encoding="UTF-16"', ""))


def value(task: ElementTree.Element, path: str) -> str | None:
    found = task.find("/".join(SPACE + step for step in path.split("/")))
    return None if found is None else found.text


def test_the_command_is_run_in_a_console_that_nobody_sees() -> None:
    task = parsed(task_of(plan(), SID))
    assert value(task, "Actions/Exec/Command") == "%SystemRoot%\\System32\\conhost.exe"
    arguments = value(task, "Actions/Exec/Arguments") or ""
    assert arguments == "--headless " + subprocess.list2cmdline(plan().command)
    assert value(task, "Actions/Exec/WorkingDirectory") == str(Path("C:/Users/me/a folder"))


def test_it_is_tried_each_minute_and_never_twice_at_a_time() -> None:
    task = parsed(task_of(plan(), SID))
    assert value(task, "Triggers/TimeTrigger/Repetition/Interval") == "PT1M"
    assert value(task, "Triggers/TimeTrigger/Repetition/Duration") is None
    assert value(task, "Settings/MultipleInstancesPolicy") == "IgnoreNew"


def test_nothing_ends_or_slows_it_down() -> None:
    task = parsed(task_of(plan(), SID))
    assert value(task, "Settings/ExecutionTimeLimit") == "PT0S"
    assert value(task, "Settings/Priority") == "5"
    assert value(task, "Settings/StopIfGoingOnBatteries") == "false"
    assert value(task, "Settings/DisallowStartIfOnBatteries") == "false"
    assert value(task, "Settings/IdleSettings/StopOnIdleEnd") == "false"


@pytest.mark.parametrize(
    ("scope", "trigger", "logon"),
    [(Scope.USER, "LogonTrigger", "InteractiveToken"), (Scope.SYSTEM, "BootTrigger", "S4U")],
)
def test_for_whom_it_runs_and_when(scope: Scope, trigger: str, logon: str) -> None:
    task = parsed(task_of(plan(scope), SID))
    assert value(task, f"Triggers/{trigger}/Enabled") == "true"
    assert value(task, "Principals/Principal/LogonType") == logon
    assert value(task, "Principals/Principal/UserId") == SID
    assert value(task, "Principals/Principal/RunLevel") == "LeastPrivilege"


def test_it_says_of_no_other_user_that_it_could_run_as_them() -> None:
    with pytest.raises(FluidError, match="as whoever installs it"):
        WindowsTask("x", Scope.SYSTEM).check(
            Plan(name="x", scope=Scope.SYSTEM, user="you", flags=(), secrets={}, folder=Path(), environment=Path(),
                 data=None, log_file=None, grace=1)
        )  # fmt: skip


def test_what_the_scheduler_would_take_for_a_variable_is_refused() -> None:
    """It has no way to write one percent sign and mean it."""
    flag = "--log-file=C:\\%TEMP%\\a.log"
    with pytest.raises(ConfigError, match=re.escape(f"'%TEMP%' in '{flag}'")):
        WindowsTask("x", Scope.USER).check(plan(Scope.USER, flag))
    with pytest.raises(ConfigError, match="%TEMP%"):
        task_of(replace(plan(), folder=Path("%TEMP%/here")), SID)


def test_other_percent_signs_are_left_as_they_are() -> None:
    flags = ("--model-path=C:\\100%", "--log-file=C:\\50%")
    WindowsTask("x", Scope.USER).check(plan(Scope.USER, *flags))
    assert "100% --log-file=C:\\50%" in (
        value(parsed(task_of(plan(Scope.USER, *flags), SID)), "Actions/Exec/Arguments") or ""
    )


@pytest.mark.parametrize(
    ("said", "installed", "running", "enabled"),
    [
        ("absent", False, False, False),
        ("4", True, True, True),
        ("3\n", True, False, True),
        ("1", True, False, False),
        ("77", True, False, True),
    ],
)
def test_what_the_scheduler_says(said: str, installed: bool, running: bool, enabled: bool) -> None:
    state = state_of(said, 7)
    assert (state.installed, state.running, state.enabled) == (installed, running, enabled)
    assert state.pid == (7 if running else None)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Windows' programs as far as they are asked; ``asked`` lists how."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("schtasks", "powershell", "whoami"):
        (folder / name).write_text(PROGRAM, encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits to be ended."""
    with subprocess.Popen([sys.executable, "-c", "input()", "--mine"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def asked(programs: Path) -> list[str]:
    return (programs / "asked").read_text(encoding="utf-8").splitlines()


@FAKE
def test_the_task_is_registered_as_the_scheduler_reads_it(programs: Path) -> None:
    manager = WindowsTask("fluid-server", Scope.USER)
    manager.install(plan())
    assert any(line.startswith("schtasks /Create /TN fluid-server /XML ") and line.endswith(" /F")
               for line in asked(programs))  # fmt: skip
    text = (programs / "task.xml").read_bytes().decode("utf-16")
    assert value(ElementTree.fromstring(text.encode("utf-16")), "Principals/Principal/UserId") == SID


@FAKE
def test_what_is_stopped_is_switched_off_first_else_it_would_start_again(programs: Path) -> None:
    manager = WindowsTask("fluid-server", Scope.USER)
    manager.stop()
    manager.start()
    assert asked(programs) == [
        "schtasks /Change /TN fluid-server /DISABLE",
        "schtasks /End /TN fluid-server",
        "schtasks /End /TN fluid-server",
        "schtasks /Change /TN fluid-server /ENABLE",
        "schtasks /Run /TN fluid-server",
    ]


@FAKE
@pytest.mark.parametrize("own", [True, False])
def test_its_server_is_ended_and_no_other(programs: Path, child: subprocess.Popen[bytes], own: bool) -> None:
    manager, models = WindowsTask("fluid-server", Scope.USER), programs.parent / "models"
    models.mkdir()
    line = f'{{"url": "http://127.0.0.1:1", "pid": {child.pid}, "version": "{__version__}"}}'
    (models / announcement.FILE).write_text(line, encoding="utf-8")
    command = ("python.exe", "-c", "input()", "--mine" if own else "--another")
    record = Record(name="fluid-server", scope="user", version="1", command=command, places=(str(models),),
                    address=None, log_file=None)  # fmt: skip
    remember(manager.places.settings, record)
    manager.stop()
    assert (child.poll() is not None) is own


@FAKE
def test_state_and_log_are_asked_for_without_words_that_are_translated(programs: Path) -> None:
    manager = WindowsTask("fluid-server", Scope.USER)
    (programs / "state").write_text("4\n", encoding="utf-8")
    assert manager.state().running
    assert "[int]$task.State" in asked(programs)[0]
    assert manager.log(5) == ""


@FAKE
def test_the_scheduler_s_refusal_is_handed_on(programs: Path) -> None:
    (programs / "refuse").touch()
    with pytest.raises(FluidError, match=r"'schtasks /Delete /TN' failed: ERROR: Access is denied\."):
        WindowsTask("fluid-server", Scope.USER).remove()


@pytest.mark.skipif(sys.platform != "win32", reason="the Task Scheduler is Windows'")
def test_the_scheduler_takes_the_task_and_forgets_it(tmp_path: Path) -> None:
    name = ("--name", "fluid-server-tests")
    settings = WindowsTask(name[1], Scope.USER).places.settings
    try:
        assert "It is off" in well("service", "install", "--no-start", *name, folder=tmp_path)
        assert ran("service", "status", *name, folder=tmp_path).returncode == 3
        assert "Removed" in well("service", "remove", *name, folder=tmp_path)
        assert ran("service", "status", *name, folder=tmp_path).returncode == 4
    finally:
        shutil.rmtree(settings, ignore_errors=True)
