"""Ctrl-C in our scripts, as a terminal sends it: to all that runs in front."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.front_door import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
FOR_A_TERMINAL = pytest.mark.skipif(sys.platform == "win32", reason="nobody can press Ctrl-C for another program there")
SCRIPT = """
import sys
from pathlib import Path
from scripts.interrupted import {verb}, ends_in_a_line
command = [sys.executable, "-c", sys.argv[1]]
sys.exit(ends_in_a_line("script", lambda: ({verb}(command, Path.cwd()), 0)[1]))
"""
ENDS_WELL = """
import sys
try:
    print("at work", flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print("in good order", flush=True)
"""
STARTS_ANOTHER = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as another:
    print(another.pid, flush=True)
    another.wait()
"""


def interrupted(verb: str, child: str) -> tuple[str, str]:
    """What a script and its child wrote until they had both ended, on stdout and on stderr."""
    if sys.platform == "win32":
        pytest.skip("not there")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(verb=verb), child], cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as script:  # fmt: skip
        assert script.stdout is not None
        first = script.stdout.readline()
        os.killpg(script.pid, signal.SIGINT)
        said, complained = script.communicate(timeout=PATIENCE)
        assert script.returncode == 130
        return first + said, complained


@FOR_A_TERMINAL
def test_a_command_that_knows_how_to_end_is_waited_for() -> None:
    assert interrupted("attended", ENDS_WELL) == ("at work\nin good order\n", "script: interrupted\n")


def has_ended(pid: int) -> bool:
    """Whether nothing of it runs; that nobody has asked how it ended may be."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@FOR_A_TERMINAL
def test_a_command_that_does_not_is_ended_without_a_word_and_all_that_it_has_started() -> None:
    said, complained = interrupted("alone", STARTS_ANOTHER)
    assert complained == "script: interrupted\n"
    assert has_ended(int(said))
