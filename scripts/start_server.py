"""Start the server in the background, and wait until it is ready.

uv run scripts/start_server.py                          serve this repository's models on http://127.0.0.1:8080
uv run scripts/start_server.py --port 0 --device GPU    all flags of 'fluid-server serve' are taken
uv run scripts/start_server.py --wait 300               wait this many seconds until it is ready (default: 120)
uv run scripts/start_server.py --log build/mine.log     its log (default: build/server.log; the last one is kept)

The server runs in the folder of the repository, and goes on when this window is closed. The exit code is 0 once it is
ready, 1 where it is not in time (it goes on), 130 after Ctrl-C (before it listens that ends it, later it goes on), else
the server's own. scripts/kill_server.py ends it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT / "build" / "server.log"
WAIT = 120.0
LOOK_EVERY = 0.1  # seconds
LAST_LINES = 20
INTERRUPTED = 130
ON_THE_WAY = {"downloading", "loading", "warming"}


@dataclass(frozen=True, slots=True)
class Started:
    """A server in the background. ``place`` is what it said of itself once it listened."""

    process: subprocess.Popen[bytes]
    place: dict[str, Any]
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.place["url"])


class NotStartedError(Exception):
    """The server has ended, or says nothing. ``code`` is the exit code for it."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def start(flags: Sequence[str], log: Path, deadline: float, folder: Path = ROOT) -> Started:
    """Start it and wait until it listens. ``deadline`` is of time.monotonic(). Errors: NotStartedError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    said = log.with_suffix(".ready.json")
    with log.open("wb") as errors, said.open("wb") as out:
        process = _detached([sys.executable, "-P", "-X", "utf8", "-m", "fluid_server", "serve", "--ready-json", *flags],
                            out, errors, folder)  # fmt: skip
    try:
        return Started(process, _listening(process, said, log, deadline), log)
    except KeyboardInterrupt:  # nobody was told of it yet
        process.terminate()
        raise


def _listening(process: subprocess.Popen[bytes], said: Path, log: Path, deadline: float) -> dict[str, Any]:
    while (place := _place(said)) is None:
        if (code := process.poll()) is not None:
            raise NotStartedError(
                f"The server has ended with exit code {code}. Its last lines:\n{last_lines(log)}", code
            )
        if time.monotonic() > deadline:
            raise NotStartedError(f"The server (process {process.pid}) does not say where it listens. See {log}.", 1)
        time.sleep(LOOK_EVERY)
    return place


def _detached(command: Sequence[str], out: IO[bytes], errors: IO[bytes], folder: Path) -> subprocess.Popen[bytes]:
    """A process that outlives us and our window."""

    def begin(flags: int = 0) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                start_new_session=True, creationflags=flags)  # fmt: skip

    if sys.platform != "win32":
        return begin()
    # A console of its own that nobody sees: Ctrl-C in ours does not reach it, and kill_server.py can press it there.
    hidden = subprocess.CREATE_NO_WINDOW
    try:  # a terminal or CI may end all that was started in it, but for what breaks away
        return begin(hidden | subprocess.CREATE_BREAKAWAY_FROM_JOB)
    except PermissionError:  # where it may not
        return begin(hidden)


def _place(said: Path) -> dict[str, Any] | None:
    """The line that the server writes once it listens, when all of it is there."""
    line, end, _ = said.read_text(encoding="utf-8").partition("\n")
    place: dict[str, Any] | None = json.loads(line) if end else None
    return place


def last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def wait_until_ready(server: Started, deadline: float, say: Callable[[str], None]) -> bool:
    """Whether warm-up was over in time; ``say`` is told what goes on. Errors: NotStartedError where it ends."""
    for text in _progress(server):
        if text is None:
            return True
        say(text)
        if (code := server.process.poll()) is not None:
            raise NotStartedError(f"The server has ended with exit code {code}. See {server.log}.", code)
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY)
    return False


def _progress(server: Started) -> Iterator[str | None]:
    """What the server does, again and again; None once it is ready. No proxy is asked: it is on this machine."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as http:
        while True:
            try:
                ready = http.get("/ready").is_success
                yield None if ready else doing(http.get("/health").json())
            except httpx.TransportError:
                yield "It does not answer at the moment."


def doing(health: dict[str, Any]) -> str:
    """What /health says of models on their way."""
    moving = [f"{name} is {model['state']}" for name, model in health["models"].items() if model["state"] in ON_THE_WAY]
    return ", ".join(moving) or str(health["status"])


def printer() -> Callable[[str], None]:
    """Prints what differs from what it was told before."""
    last = ""

    def say(text: str) -> None:
        nonlocal last
        if text != last:
            print(f"  {text}", flush=True)
        last = text

    return say


def parser() -> argparse.ArgumentParser:
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    given.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help="until it is ready")
    given.add_argument("--log", type=Path, default=LOG, metavar="FILE", help="what the server writes")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    args, flags = parser().parse_known_args(arguments)
    deadline = time.monotonic() + args.wait
    try:
        server = start([flag for flag in flags if flag != "--"], args.log.absolute(), deadline)
        print(f"It listens at {server.url} (process {server.place['pid']}).", flush=True)
        return report(server, args.wait, deadline)
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return error.code


def report(server: Started, wait: float, deadline: float) -> int:
    """Wait until it is ready, and say what came of it. Errors: NotStartedError where it ends."""
    try:
        code = 0 if wait_until_ready(server, deadline, printer()) else 1
        told = f"It is not ready after {wait:.0f} s, and goes on." if code else f"Ready: {server.place['base_url']}"
    except KeyboardInterrupt:
        code, told = INTERRUPTED, "It is not ready yet, and goes on."
    print(f"{told}\n  log   {server.log}\n  end   uv run scripts/kill_server.py --pid {server.place['pid']}")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
