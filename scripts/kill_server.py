"""End servers: in good order, and by force where that takes too long.

uv run scripts/kill_server.py                       the server of this repository's models folder
uv run scripts/kill_server.py --model-path FOLDER   that of another models or data folder
uv run scripts/kill_server.py --pid 1234            that process
uv run scripts/kill_server.py --all                 every Fluid Server of this user
uv run scripts/kill_server.py --wait 30             seconds until force is used (default: 15)

A running server says in its folder where it is (.server.json). A process that is no Fluid Server is never ended. The
exit code is 0 where none is left, also where there was none; 1 where one could not be ended or is none.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import psutil

from fluid_server.cli import announcement
from fluid_server.cli.verbs import VERBS
from fluid_server.config import load_config

ROOT = Path(__file__).resolve().parents[1]
WAIT = 15.0
AFTER_FORCE = 5.0
LOOK_EVERY = 0.01  # seconds
PROGRAM = re.compile(r"fluid[-_]server(\.exe)?", re.IGNORECASE)
PYTHON = re.compile(r"python[\d.]*w?(\.exe)?", re.IGNORECASE)
OTHER_VERBS = {*VERBS, "worker", "probe", "--help", "-h", "--version"} - {"serve"}
# Presses Ctrl-C in the console of another process: Windows has no signal for it. In a process of its own, since that
# has to leave its own console.
PRESS_CTRL_C = """
import ctypes, sys
kernel = ctypes.WinDLL("kernel32")
kernel.FreeConsole()
pressed = kernel.AttachConsole(int(sys.argv[1])) and kernel.SetConsoleCtrlHandler(None, True)
sys.exit(0 if pressed and kernel.GenerateConsoleCtrlEvent(0, 0) else 1)
"""


def is_server(command: Sequence[str]) -> bool:
    """Whether a command line is that of a server, and not of one of its workers, of another verb or program."""
    rest = _after_program(command)
    return rest is not None and (not rest or rest[0] not in OTHER_VERBS)


def _after_program(command: Sequence[str]) -> Sequence[str] | None:
    """What is said to our program; None where it is another."""
    names = [Path(one.replace("\\", "/")).name for one in command]
    if names and PROGRAM.fullmatch(names[0]):
        return command[1:]
    if not names or not PYTHON.fullmatch(names[0]):
        return None
    if len(names) > 1 and PROGRAM.fullmatch(names[1]):
        return command[2:]
    if "-m" in command and command[command.index("-m") + 1 :][:1] == ["fluid_server"]:
        return command[command.index("-m") + 2 :]
    return None


def server_of(pid: int) -> psutil.Process | None:
    """The process, where it is a server."""
    try:
        process = psutil.Process(pid)
        return process if is_server(process.cmdline()) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def announced(folder: Path | None) -> list[psutil.Process]:
    """The server that says in a folder that it is there."""
    with chdir(ROOT):  # where start_server.py has it run
        folders = (folder,) if folder else load_config().meeting_places
        found = [announcement.read(place) for place in folders]
    return list({one.pid: process for one in found if one and (process := server_of(one.pid))}.values())


def all_of_this_user() -> list[psutil.Process]:
    """Every server of ours, but for what only waits for one: on Windows a program that has started Python."""
    own = psutil.Process().username()
    found = [
        process
        for process in psutil.process_iter(["cmdline", "username"])
        if process.info["username"] == own and is_server(process.info["cmdline"] or [])
    ]
    waiting = {parent for process in found if (parent := _parent_of(process)) is not None}
    return [process for process in found if process.pid not in waiting]


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def ended(process: psutil.Process, wait: float) -> str | None:
    """End a server and all that it started; how that went, None where it is still there."""
    try:
        tree = [process, *process.children(recursive=True)]
        _ask(process)
    except psutil.NoSuchProcess:
        return "had ended already"
    except psutil.AccessDenied:
        return None
    if not (alive := left_of(tree, wait)):
        return "has ended in good order"
    for one in alive:
        try:
            one.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None if left_of(alive, AFTER_FORCE) else f"did not end within {wait:g} s, and was ended by force"


def left_of(processes: Sequence[psutil.Process], wait: float) -> list[psutil.Process]:
    """Those that have not ended in time. One that nobody has buried yet has ended: in a container nobody may."""
    deadline = time.monotonic() + wait
    while alive := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ask(process: psutil.Process) -> None:
    """As a person would by Ctrl-C, or a supervisor by SIGTERM."""
    if sys.platform == "win32":
        press = [sys.executable, "-c", PRESS_CTRL_C, str(process.pid)]
        subprocess.run(press, creationflags=subprocess.CREATE_NO_WINDOW, check=False)
    else:
        process.terminate()


def parser() -> argparse.ArgumentParser:
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    which = given.add_mutually_exclusive_group()
    which.add_argument("--model-path", type=Path, metavar="FOLDER", help="the models or data folder of the server")
    which.add_argument("--pid", type=int, help="the process")
    which.add_argument("--all", action="store_true", help="every server of this user")
    given.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help="until force is used")
    return given


def chosen(args: argparse.Namespace) -> list[psutil.Process]:
    if args.all:
        return all_of_this_user()
    if args.pid is None:
        return announced(args.model_path)
    process = server_of(args.pid)
    return [process] if process else []


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    servers = chosen(args)
    if not servers and args.pid is not None and psutil.pid_exists(args.pid):
        print(f"Process {args.pid} is no Fluid Server of this user, and was left alone.", file=sys.stderr)
        return 1
    left = 0
    for process in servers:
        how = ended(process, args.wait)
        left += how is None
        print(f"Server {process.pid} {how or 'cannot be ended by this user'}.")
    if not servers:
        print("No server runs there.")
    return 1 if left else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
