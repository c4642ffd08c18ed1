"""What was measured, for people: a table with bars, and what must be known to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fluid_server.cli.bench_figures import Figures, OverRuns, over_runs
from fluid_server.cli.bench_record import Record, by_streams

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BAR = 20  # columns of the longest bar, where there is room
FIGURES = 68  # columns of a line without its bar
EIGHTHS = " ▏▎▍▌▋▊▉"
BUSY = 0.8  # of one core: a client that is busier than this is part of what is measured
PERCENTS = ("p50", "p90", "p99")
LATENCIES = {
    "ttft_ms": ("time to first token", "from the request to the first text"),
    "tpot_ms": ("time per token", "from the first text to the last, by the tokens between"),
    "gap_ms": ("gap between pieces", "of text; what arrives together is one piece"),
    "latency_ms": ("whole answer", "from the request to its end"),
}
RANGES = {
    "TOKENS/S": "tokens_per_second",
    "FIRST TOKEN p50": "ttft_ms_p50",
    "PER TOKEN p50": "tpot_ms_p50",
    "WHOLE p50": "latency_ms_p50",
}


def picture(record: Record, width: int) -> RenderableType:
    """All of it, as wide as so many columns."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_title(record), style="bold"), ""]
    if record.levels:
        levels = by_streams(record.levels)
        told = {streams: over_runs(runs) for streams, runs in levels.items()}
        bar = max(4, min(BAR, width - FIGURES))
        parts += [_rates(levels, told, bar), "", _latencies(told, bar), ""]
        if any(len(runs) > 1 for runs in levels.values()):
            parts += [_ranges(told), ""]
    notes = notes_on(record)
    parts += [Text(f"{'!' if urgent else '·'} {note}", style="yellow" if urgent else "dim") for urgent, note in notes]
    return Group(*parts)


def _title(record: Record) -> str:
    model, server = record.model, record.server
    how = f" · {model['runtime']} on {model['device']}" if model.get("runtime") else ""
    return f"{model['id']}{how} · {server['url']}"


def _rates(levels: dict[int, list[Figures]], told: dict[int, dict[str, OverRuns]], bar: int) -> Table:
    table = _table("STREAMS", "TOKENS/S", "", "EACH", "REQUESTS/S", "ANSWERS", "FAILED", "CLIENT CPU")
    most = max((one["tokens_per_second"].median for one in told.values()), default=0.0)
    for streams, runs in levels.items():
        figures = told[streams]
        failed = sum(sum(one.failed.values()) for one in runs)
        table.add_row(
            str(streams),
            _over(figures, "tokens_per_second"),
            _bar(figures["tokens_per_second"].median, most, bar),
            _over(figures, "stream_tokens_per_second_p50"),
            _over(figures, "requests_per_second"),
            str(sum(one.answers for one in runs)),
            f"[red]{failed}[/red]" if failed else "-",
            _share(max(one.client_cpu for one in runs)),
        )
    return table


def _latencies(told: dict[int, dict[str, OverRuns]], bar: int) -> Table:
    table = _table("MILLISECONDS", "STREAMS", "p50", "", "p90", "p99")
    for name, (words, _) in LATENCIES.items():
        seen = {streams: figures for streams, figures in told.items() if f"{name}_p50" in figures}
        most = max((figures[f"{name}_p50"].median for figures in seen.values()), default=0.0)
        for index, (streams, figures) in enumerate(seen.items()):
            p50, p90, p99 = (_over(figures, f"{name}_{part}") for part in PERCENTS)
            drawn = _bar(figures[f"{name}_p50"].median, most, bar)
            table.add_row("" if index else words, str(streams), p50, drawn, p90, p99)
    return table


def _ranges(told: dict[int, dict[str, OverRuns]]) -> Table:
    """The smallest and the largest of all runs; the other tables show the medians."""
    table = _table("OVER ALL RUNS", *RANGES)
    for streams, figures in told.items():
        words = _streams(streams)
        table.add_row(words, *(_range(figures, name) for name in RANGES.values()))
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        words = column in {"", "MILLISECONDS", "OVER ALL RUNS"}
        table.add_column(column, justify="left" if words else "right", no_wrap=True, style="cyan" if not column else "")
    return table


def _bar(value: float, most: float, width: int) -> str:
    """As long as the value is large."""
    eighths = round(width * 8 * value / most) if most > 0 else 0
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[rest] if rest else "")).ljust(width)


def _over(figures: dict[str, OverRuns], name: str) -> str:
    """The median."""
    return number(figures[name].median) if name in figures else "-"


def _range(figures: dict[str, OverRuns], name: str) -> str:
    """What lies around the median."""
    one = figures.get(name)
    return "-" if one is None else f"{number(one.min)} - {number(one.max)}"


def number(value: float) -> str:
    """With three digits that say something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def notes_on(record: Record) -> list[tuple[bool, str]]:
    """What must be known to read the figures; the first of each pair says whether it spoils them."""
    notes: list[tuple[bool, str]] = []
    levels, load = record.levels, record.load
    if not record.complete:
        notes.append((True, "Ended by Ctrl-C: these figures are of what was measured until then."))
    notes += [(True, f"{count} at {_streams(streams)} failed: {kind}") for streams, kind, count in _failures(levels)]
    busiest = max((one.client_cpu for one in levels), default=0.0)
    if busiest > BUSY:
        notes.append(
            (True, f"This client was busy for {_share(busiest)} of a core: it may be what limits the figures.")
        )
    if levels and not record.server["counts_tokens"]:
        notes.append((True, "The server does not count tokens: these are chunks, not tokens."))
    short = [one.answer_tokens for one in levels if one.answer_tokens and one.answer_tokens.min < load["max_tokens"]]
    if short and record.server["counts_tokens"]:
        least, mean = min(one.min for one in short), min(one.mean for one in short)
        ask = "" if load["ignore_eos"] else " --ignore-eos asks for all of them, if the server takes that."
        text = (
            f"Some answers ended before --max-tokens {load['max_tokens']}: {least:.0f} tokens at least, {mean:.0f} in"
        )
        notes.append((True, f"{text} the mean.{ask}"))
    return [*notes, (False, _prompts(record)), *((False, text) for text in _reading(levels))]


def _streams(count: int) -> str:
    return f"{count} stream{'' if count == 1 else 's'}"


def _failures(levels: Sequence[Figures]) -> list[tuple[int, str, int]]:
    return [
        (streams, kind, sum(one.failed.get(kind, 0) for one in runs))
        for streams, runs in by_streams(levels).items()
        for kind in dict.fromkeys(kind for one in runs for kind in one.failed)
    ]


def _prompts(record: Record) -> str:
    """How long the prompts were, and how much of them the server knew."""
    told = [one.prompt_tokens for one in record.levels if one.prompt_tokens is not None]
    known = [one.cached_share for one in record.levels if one.cached_share is not None]
    length = f"{record.load['prompt_words']} words"
    if told:
        least, most = min(one.min for one in told), max(one.max for one in told)
        length = f"{least:.0f} to {most:.0f} tokens" if least < most else f"{least:.0f} tokens"
    cached = f"; {max(known):.0%} of them came from the server's cache" if known else ""
    kind = "all with one beginning" if record.load["shared_prefix"] else "all different, so that no prefix cache helps"
    return f"Prompts of {length}, {kind}{cached}."


def _reading(levels: Sequence[Figures]) -> list[str]:
    if not levels:
        return []
    runs = max(one.run for one in levels)
    several = [f"Medians of {runs} runs; below them the smallest and the largest."] if runs > 1 else []
    return [*several, *(f"{words[0].upper()}{words[1:]}: {meaning}." for words, meaning in LATENCIES.values())]
