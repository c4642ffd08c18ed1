"""How a download is shown: bars on a terminal, now and then a line elsewhere, JSON for machines."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fluid_server.cli.words import duration, percent, shortened, size
from fluid_server.types import Download, DownloadState

if TYPE_CHECKING:
    from rich.console import RenderableType

Show = Callable[[Download], None]
EVERY_SECONDS, EVERY_PERCENT = 5.0, 10  # between two lines
SPLIT = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.\w+$")
REFRESHES = 8  # a second
FIGURES = 54  # columns of a line that are not its name and its bar
DOING = {
    DownloadState.QUEUED: "waiting for its turn",
    DownloadState.VERIFYING: "checking what came",
    DownloadState.INSTALLING: "putting it in its place",
}


@contextmanager
def shown(name: str, *, as_json: bool) -> Generator[Show, None, None]:
    """What to call with each state of a download. Bars and lines go to stderr, JSON to stdout."""
    if as_json:
        yield _now_and_then(lambda download: print(json.dumps(body_of(download), ensure_ascii=False), flush=True))
    elif sys.stderr.isatty():
        with _bars(name) as show:
            yield show
    else:
        yield _now_and_then(lambda download: print(line(download), file=sys.stderr, flush=True))


def body_of(download: Download) -> dict[str, Any]:
    """A download as the API writes it."""
    body = {"object": "download", **asdict(download)}
    code, message = body.pop("error_code"), body.pop("error_message")
    body["error"] = {"message": message, "type": "server_error", "param": None, "code": code} if message else None
    return body


def line(download: Download) -> str:
    """How far it is, in a line."""
    if download.state is DownloadState.COMPLETED:
        return f"{download.name}: all of it is here, {size(download.bytes_total)}"
    doing = DOING.get(download.state, str(download.state))
    parts = [f"{download.name}: {percent(download.bytes_done, download.bytes_total)} of {size(download.bytes_total)}"]
    parts.append(_pace(download) or doing)
    return ", ".join([*parts, download.note] if download.note else parts)


def _pace(download: Download) -> str:
    """How quick it is; nothing where nothing comes."""
    if download.state is not DownloadState.DOWNLOADING or not download.rate:
        return ""
    left = f", {duration(download.eta_seconds)} left" if download.eta_seconds is not None else ""
    return f"{size(download.rate)}/s{left}"


def _now_and_then(write: Show) -> Show:
    """Writes what is new: another state or note at once, and progress each tenth and each few seconds."""
    last: tuple[object, ...] = ()
    last_done, when = 0, 0.0

    def show(download: Download) -> None:
        nonlocal last, last_done, when
        marks = (download.state, download.note)
        came, now = download.bytes_done - last_done, time.monotonic()
        enough = came * 100 >= download.bytes_total * EVERY_PERCENT or now - when >= EVERY_SECONDS
        if marks != last or (came and enough):
            write(download)
            last, last_done, when = marks, download.bytes_done, now

    return show


@contextmanager
def _bars(name: str) -> Generator[Show, None, None]:
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    console = Console(stderr=True)
    before = Spinner("line", Text(f"Looking up {name}"))  # a Text: a name is no markup
    with Live(before, console=console, transient=True, refresh_per_second=REFRESHES) as live:
        yield lambda download: live.update(picture(download, console.width))


def picture(download: Download, width: int) -> RenderableType:
    """How many files are here, a bar for each that is coming, and one for the whole."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    coming = [file for file in download.files if 0 < file.done < file.size]
    here = sum(file.done == file.size for file in download.files)
    rows = Table.grid(padding=(0, 2, 0, 0))
    rest = width - FIGURES
    bar = max(8, min(40, rest * 2 // 5))
    names = max(12, min(36, rest - bar))
    for _ in range(4):
        rows.add_column(no_wrap=True, overflow="ellipsis")
    parts: list[RenderableType] = []
    if len(download.files) > 1:
        count = f"{here} of {len(download.files)} files are here"
        parts.append(Text(count, style="dim", no_wrap=True, overflow="ellipsis"))
        for file in coming:
            rows.add_row(Text(_file(file.path, names)), _bar(file.done, file.size, bar), _of(file.done, file.size), "")
    doing = _pace(download) or DOING.get(download.state, "")
    done, total = download.bytes_done, download.bytes_total
    name = Text(shortened(download.name, names), style="bold")
    rows.add_row(name, _bar(done, total, bar), _of(done, total), doing)
    parts.append(rows)
    if download.note:
        parts.append(Text(download.note, style="yellow"))
    return Group(*parts)


def _file(path: str, width: int) -> str:
    """A file's name that fits; of a part of several, which one it is stays to be seen."""
    name = path.rpartition("/")[2]
    split = SPLIT.match(name)
    if len(name) <= width or split is None:
        return shortened(name, width)
    which = f" {int(split[2])}/{int(split[3])}"
    return shortened(split[1], width - len(which)) + which


def _bar(done: int, total: int, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar

    return ProgressBar(total=max(1, total), completed=done, width=width)


def _of(done: int, total: int) -> str:
    return f"{size(done)} of {size(total)}"
