"""fluid-server bench: how fast a model answers, for one client and for many, through HTTP as any client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fluid_server.cli.bench_figures import figures
from fluid_server.cli.bench_record import STDOUT, Record, check_writable, machine, write
from fluid_server.cli.bench_run import Level, Load, Runner
from fluid_server.cli.bench_table import picture
from fluid_server.cli.bench_target import Target, Wish, target_of
from fluid_server.cli.discovery import Place
from fluid_server.errors import InvalidRequest

WELL, FAILED, INTERRUPTED = 0, 1, 130
WIDE = 140  # columns where no terminal says how many there are
REFRESH = 4  # a second: what shows the progress takes time from what measures
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Session:
    """What is measured of whom, and where the figures go."""

    wish: Wish
    load: Load
    streams: Sequence[int]
    runs: int
    base_url: str | None


def run(place: Place, *, json_file: str | None, csv_file: str | None, base_url: str | None, **options: Any) -> int:
    """Measure and show it. The exit code is 1 where a number of streams gave no answer, 130 after Ctrl-C."""
    if base_url is not None and place.server_typed:
        raise InvalidRequest("--base-url says which server is meant: leave --host and --port out.", param="base_url")
    if json_file == csv_file == STDOUT:
        raise InvalidRequest("Only one of --json and --csv can go to stdout.", param="csv")
    check_writable(json_file, "--json")
    check_writable(csv_file, "--csv")
    record = asyncio.run(_measured(place, _session(base_url, options)))
    write(record.as_json(), json_file)
    write(record.as_csv(), csv_file)
    if STDOUT not in {json_file, csv_file}:
        _show(record)
    if not record.complete:
        return INTERRUPTED
    return WELL if all(one.answers for one in record.levels) else FAILED


def _session(base_url: str | None, options: Mapping[str, Any]) -> Session:
    wish = Wish(
        model=options["name"],
        prompt_tokens=options["prompt_tokens"],
        max_tokens=options["max_tokens"],
        completions=options["completions"],
        shared_prefix=options["shared_prefix"],
        ignore_eos=options["ignore_eos"],
        seed=options["seed"],
        extra=options["body"],
    )
    load = Load(options["requests"], options["duration"], options["timeout"])
    return Session(wish, load, options["concurrency"], options["runs"], base_url)


async def _measured(place: Place, session: Session) -> Record:
    """Everything, or as far as Ctrl-C lets it come. Errors: why nothing can be measured."""
    began, on = datetime.now(UTC), machine()
    with _progress(session.wish.model) as say:
        async with target_of(place, session.wish, session.base_url, session.load.silence, say) as target:
            runner = Runner(target.address, target.ask, target.prompts, session.load)
            complete = await _all(runner, session, say)
    return Record(
        when=began.isoformat(timespec="seconds"),
        server={**target.server, "counts_tokens": target.counts},
        model=target.model,
        load=_load(session, target),
        machine=on,
        levels=[figures(level.measured()) for level in runner.levels],
        complete=complete,
    )


async def _all(runner: Runner, session: Session, say: Say) -> bool:
    """Run all levels; returns whether that came to its end."""
    telling = asyncio.create_task(_tell(runner, say))
    try:
        await runner.run(session.streams, session.runs, lambda level: say(_title(level, session)))
    except asyncio.CancelledError:  # Ctrl-C: what there is is worth showing
        if not any(one.finished for one in runner.levels):
            raise
        return False
    finally:
        telling.cancel()
        await asyncio.wait((telling,))
    return True


async def _tell(runner: Runner, say: Say) -> None:
    """What goes on now, on a terminal. Elsewhere a line for each level is enough."""
    while sys.stderr.isatty():
        await asyncio.sleep(1 / REFRESH)
        if runner.levels:
            level = runner.levels[-1]
            say(f"{level.streams} at a time: {level.now()}")


def _title(level: Level, session: Session) -> str:
    run = f", run {level.run} of {session.runs}" if session.runs > 1 else ""
    return f"{level.streams} at a time{run}"


@contextmanager
def _progress(name: str) -> Generator[Say, None, None]:
    """A line on the terminal that says what goes on; elsewhere one line after the other. Both go to stderr."""
    if not sys.stderr.isatty():
        yield lambda doing: print(f"{name}: {doing}", file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    status = Console(stderr=True).status(Text(name), spinner="line", refresh_per_second=REFRESH)
    with status:
        yield lambda doing: status.update(Text(f"{name}: {doing}", no_wrap=True, overflow="ellipsis"))


def _load(session: Session, target: Target) -> dict[str, Any]:
    """What was asked for, so that it can be asked for again."""
    wish, load = session.wish, session.load
    return {
        "path": target.ask.path,
        "concurrency": list(session.streams),
        "requests": load.requests,
        "duration": load.seconds if load.requests is None else None,
        "runs": session.runs,
        "prompt_tokens": wish.prompt_tokens,
        "prompt_words": target.prompts.words,
        "max_tokens": wish.max_tokens,
        "shared_prefix": wish.shared_prefix,
        "ignore_eos": target.ask.ignore_eos,
        "body": dict(wish.extra),
        "seed": target.prompts.seed,
    }


def _show(record: Record) -> None:
    """On a terminal as wide as that is; elsewhere lines are as long as they must be."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else WIDE, soft_wrap=not terminal, highlight=False)
    console.print(picture(record, console.width))
