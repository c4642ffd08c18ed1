"""A server that another program has started ends with it, however that program ends."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable

import psutil

from fluid_server.cli.exit_codes import ExitCode
from fluid_server.errors import ConfigError, ParentGone

logger = logging.getLogger(__name__)
LOOK_EVERY = 0.25  # seconds, where the system cannot tell when a process ends
LONGEST_END = 2.5  # seconds from the end of the parent to that of the server and all its workers, in whatever order


def parent_of(pid: int) -> psutil.Process:
    """The process to end with. Errors: ParentGone; ConfigError for what can be nobody's parent."""
    if pid <= 0 or pid == os.getpid():
        raise ConfigError(f"--parent-pid {pid} is no other process. Give the one that the server shall end with.")
    try:
        parent = psutil.Process(pid)
        # Who is younger than this process has not started it: the number has been given away again.
        if is_running(parent) and parent.create_time() <= psutil.Process().create_time():
            return parent
    except psutil.NoSuchProcess:
        pass
    raise ParentGone(f"The process {pid} of --parent-pid has ended already, so nothing was started.")


def is_running(process: psutil.Process) -> bool:
    """Whether it is this very process, and not a later one with its number; one that nobody has buried yet is dead."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's: it is there
        return True


def end_with(parent: psutil.Process | None, *, stdin: bool, end: Callable[[], None]) -> None:
    """Call ``end`` once, in a thread, when the parent has ended or (if ``stdin``) standard input has been closed.

    Where that does not end this process within LONGEST_END, it is ended by force, and its children with it.
    """
    once = threading.Lock()

    def when(wait: Callable[[], None], why: str) -> None:
        wait()
        if once.acquire(blocking=False):
            logger.info("%s: the server ends", why)
            end()
            time.sleep(LONGEST_END)
            leave_by_force()

    if parent is not None:
        _in_background(lambda: when(lambda: wait_for(parent), f"The parent process {parent.pid} has ended"))
    if stdin:
        _in_background(lambda: when(wait_for_stdin, "Standard input was closed"))


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="parent", daemon=True).start()


def wait_for(process: psutil.Process) -> None:
    """Until it has ended. Windows and Linux tell when; elsewhere it is looked for."""
    try:
        if sys.platform == "win32":
            process.wait()
        else:
            _wait_for_descriptor(process)
    except (OSError, psutil.Error):  # an old kernel, or a process whose handle is not given to us
        pass
    while is_running(process):
        time.sleep(LOOK_EVERY)


def _wait_for_descriptor(process: psutil.Process) -> None:
    if sys.platform != "linux":
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        if is_running(process):  # the number is still its own, so the descriptor is too
            ends = select.poll()  # select itself takes no descriptor above 1023
            ends.register(descriptor, select.POLLIN)
            ends.poll()
    finally:
        os.close(descriptor)


def wait_for_stdin() -> None:
    """Until standard input has been closed; what is sent there is not looked at."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        return  # there is none


def leave_by_force() -> None:
    """End every child, and this process."""
    logger.warning("The server does not end by itself: it is ended by force")
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(ExitCode.WELL)
