"""The system's own programs (systemctl, schtasks, launchctl …), as they are run and as they fail."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from fluid_server.errors import FluidError

PATIENCE = 600  # seconds; ending a server may take all of its grace
ABSENT = "There is no program '{program}' here, which keeps services on this system. {hint}"
PRINT = "'fluid-server service install --print' writes what can be given to another supervisor."
HINTS = {
    "systemctl": f"This Linux has no systemd (a container, or WSL without it). {PRINT}",
    "journalctl": "This Linux has no systemd, or keeps no journal.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a program said, and its exit code."""

    code: int
    out: str
    err: str


def asked(*command: str) -> Said:
    """Run a program to its end, whatever its exit code. Errors: FluidError where it is not here or does not end."""
    program = command[0]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",  # Windows' programs write in the code page of the console
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise FluidError(ABSENT.format(program=program, hint=HINTS.get(program, PRINT))) from error
    except subprocess.TimeoutExpired as error:
        raise FluidError(f"'{program}' did not end within {PATIENCE} s. Look into the system's own log.") from error
    except OSError as error:
        raise FluidError(f"'{program}' cannot be run: {error.strerror}.") from error
    return Said(done.returncode, done.stdout.strip(), done.stderr.strip())


def told(*command: str, hint: str = "") -> str:
    """Run a program that must go well; what it said. Errors: FluidError with its own words, and with a hint."""
    said = asked(*command)
    if said.code:
        words = " ".join((said.err or said.out).split()) or f"exit code {said.code}"
        raise FluidError(
            f"'{' '.join(command[:3])}' failed: {words}{'' if words.endswith('.') else '.'} {hint}".rstrip()
        )
    return said.out
