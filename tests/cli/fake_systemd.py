"""A systemctl and a journalctl for tests, where no systemd runs: they keep to the unit file and really start it.

Installed into a folder as two programs (see ``installed``). What was asked is in ``asked`` beside them, one line each.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
UNITS = FOLDER.parent / "config" / "systemd" / "user"
STATE, JOURNAL = FOLDER / "state.json", FOLDER / "journal"


def installed(folder: Path) -> Path:
    """Put the programs there; returns the folder for PATH. Units lie in ``config`` beside it."""
    folder.mkdir()
    source = Path(__file__).read_text(encoding="utf-8")
    for name in ("systemctl", "journalctl"):
        program = folder / name
        program.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
        program.chmod(0o755)
    return folder


def words(line: str) -> list[str]:
    """How systemd splits a command: quotes, backslashes, then specifiers and variables."""
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%").replace("$$", "$") for word in quoted]


def unit(name: str) -> dict[str, str]:
    lines = (UNITS / f"{name}.service").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def environment(file: str) -> dict[str, str]:
    """An EnvironmentFile= in double quotes; the dash says that it may be missing."""
    lines = Path(file.removeprefix("-").replace("%%", "%")).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name: re.sub(r"\\(.)", r"\1", value.strip('"')) for name, value in pairs}


def start(name: str) -> int:
    told = unit(name)
    with JOURNAL.open("ab") as journal:
        return subprocess.Popen(
            words(told["ExecStart"]),
            cwd=told["WorkingDirectory"],
            env={"PATH": os.defpath, "HOME": str(FOLDER), **environment(told["EnvironmentFile"])},
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
        ).pid


def lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def stop(pid: int) -> None:
    if sys.platform != "linux" or not lives(pid):
        return
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    select.select([process], [], [])  # its end, also where nobody buries it
    os.close(process)


def shown(name: str, state: dict[str, object], pid: int) -> str:
    there, runs = (UNITS / f"{name}.service").exists(), lives(pid)
    return (
        f"LoadState={'loaded' if there else 'not-found'}\nActiveState={'active' if runs else 'inactive'}\n"
        f"SubState={'running' if runs else 'dead'}\nUnitFileState={'enabled' if state.get('enabled') else 'disabled'}\n"
        f"MainPID={pid if runs else 0}\nNRestarts=0\nResult=success\nExecMainStatus=0"
    )


def main() -> int:
    with (FOLDER / "asked").open("a", encoding="utf-8") as out:
        print(Path(sys.argv[0]).name, *sys.argv[1:], file=out)
    if Path(sys.argv[0]).name == "journalctl":
        print(JOURNAL.read_text(encoding="utf-8", errors="replace"))
        return 0
    state = json.loads(STATE.read_text(encoding="utf-8")) if STATE.exists() else {}
    pid = int(state.get("pid") or 0) or 2**22 + 1  # above all that there are
    match [word for word in sys.argv[1:] if word not in {"--user", "--now"}]:
        case ["show", name, _]:
            print(shown(name, state, pid))
        case ["enable", _]:
            state["enabled"] = True
        case ["disable", _]:
            state["enabled"] = False
            stop(pid)
        case ["restart", name]:
            stop(pid)
            state["pid"] = start(name)
    STATE.write_text(json.dumps(state), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
