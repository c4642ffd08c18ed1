"""The speed page: what was measured as Markdown, between two marks of a page that a person has written. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Row, Spread
from benchmarks.machine_facts import BUSY
from benchmarks.record import Measured, Record, Taken
from benchmarks.sections import SECTIONS, Section

BEGIN = "<!-- From here to the next mark, benchmarks/run.py writes. -->"
END = "<!-- To here. -->"
EMPTY_PAGE = f"# Speed\n\n{BEGIN}\n{END}\n"
PICTURES = {  # the sections that have one of their own: what it shows
    "throughput": "Tokens a second by the number of streams, for each engine and model: engine alone, and through HTTP",
    "targets": "Every target: the figure over its limit",
    "cold-start": "Seconds from the start of a worker to its first token, by what takes them, for each model",
}


def put(page: str, generated: str) -> str:
    """The page with another generated part. Errors: ValueError where the marks are missing."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"the page has lost its marks: put back the lines '{BEGIN}' and '{END}'")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{generated.strip()}\n\n{END}{rest.split(END, 1)[1]}"


def generated(record: Record, pictures: Sequence[str]) -> str:
    """Everything between the marks. ``pictures``: the names of those that were drawn."""
    sections = [section for section in SECTIONS if section.name in record]
    parts = [_where(record), _summary(record, sections), *_picture("targets", pictures)]
    for section in sections:
        parts += [f"## {section.title}", section.target, *_picture(section.name, pictures)]
        parts += [table(section, record[section.name].rows), f"{section.how} {told(record[section.name])}"]
    return "\n\n".join(parts)


def table(section: Section, rows: Sequence[Row]) -> str:
    """A section's rows: medians with minimum and maximum, and whether each target holds."""
    peer, judged = any(row.peer for row in rows), bool(section.judged)
    units = {row.unit for row in rows}
    shared = units.pop() if len(units) == 1 else ""  # it stands once, above them
    heads = ["", section.ours, *([section.peer] if peer else [])]
    heads = [f"{head}, {shared}" if shared and head else head for head in heads]
    heads += [*([section.judged] if judged else []), "target", ""]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        unit = "" if shared else f" {row.unit}"
        cells = [row.what, f"{spread(row.ours)}{unit}"]
        cells += [f"{spread(row.peer)}{unit}" if row.peer else ""] if peer else []
        cells += [_judged(row)] if judged else []
        lines.append(f"| {' | '.join([*cells, target(row), verdict(row)])} |")
    return "\n".join(lines)


def target(row: Row) -> str:
    """What was wanted of a row."""
    if row.target is None:
        return "none"
    unit = "" if row.by == "ratio" else f" {row.unit}"
    return f"at {'most' if row.target.most else 'least'} {number(row.target.limit)}{unit}"


def verdict(row: Row) -> str:
    """Whether the median is on the right side of the target, and how far it is on the wrong one."""
    if row.target is None:
        return ""
    if row.holds:
        return "holds"
    unit = "" if row.by == "ratio" else f" {row.unit}"
    return f"**misses by {number(row.target.missed_by(row.judged.median))}{unit}**"


def spread(values: Spread) -> str:
    """Median, and minimum to maximum."""
    return f"{number(values.median)} ({number(values.low)} to {number(values.high)})"


def number(one: float) -> str:
    """Three digits that say something; more only before the point."""
    size = abs(one)
    if size >= 100:
        return f"{one:,.0f}"
    if size >= 10:
        return f"{one:.1f}"
    return f"{one:.2f}" if size >= 0.1 or not size else f"{one:.3f}"


def told(measured: Measured) -> str:
    """When and how it was measured, in a sentence or two."""
    taken, counts = measured.taken, [row.repeats for row in measured.rows]
    least, most = min(counts), max(counts)
    repeats = f"{least} repeat{'s' if least != 1 else ''}" if least == most else f"{least} to {most} repeats"
    form = "the quick form, " if taken.quick else ""
    minute = ""
    if taken.before.minute is not None and taken.minute_after is not None:
        minute = f", load average {taken.before.minute:.1f} before and {taken.minute_after:.1f} after"
    others = "" if taken.others is None else f", others took {taken.others:.2f} cores meanwhile"
    said = f"Measured {taken.date} at `{taken.commit}`: {form}{repeats}, {taken.seconds:.0f} s{minute}{others}."
    if taken.problem:
        said += f" **Not complete: {taken.problem}**"
    return said


def idle(taken: Taken) -> bool:
    """Whether the machine had nothing else to do: before, and as far as it can be told meanwhile."""
    return taken.before.idle and (taken.others is None or taken.others <= BUSY)


def _judged(row: Row) -> str:
    if row.by == "difference":
        return f"{spread(row.judged)} {row.unit}"
    return spread(row.judged) if row.by == "ratio" else ""


def _where(record: Record) -> str:
    """Machine and versions, once for each that the sections were measured on."""
    parts = []
    for taken in {
        (one.taken.machine, tuple(one.taken.versions.items())): one.taken for one in record.values()
    }.values():
        machine = taken.machine
        cores = f"{machine.cores} cores, {machine.threads} threads"
        names = ", ".join(f"{name} {version}" for name, version in taken.versions.items())
        parts.append(
            f"On {machine.cpu}, {cores}, {machine.memory_gb:.0f} GB, {machine.system}, Python {machine.python}; "
            f"{names}."
        )
    busy = [name for name, one in record.items() if not idle(one.taken)]
    if busy:
        parts.append(f"**The machine was not idle while these were measured: {', '.join(busy)}.**")
    return "\n\n".join(parts)


def _summary(record: Record, sections: Sequence[Section]) -> str:
    """A line for each section: how many of its targets hold."""
    lines = ["| | target | holds |", "|---|---|---|"]
    for section in sections:
        link = f"[{section.title}](#{_anchor(section.title)})"
        lines.append(f"| {link} | {section.target} | {_count(record[section.name])} |")
    return "\n".join(lines)


def _count(measured: Measured) -> str:
    judged = [row.holds for row in measured.rows if row.holds is not None]
    return f"{sum(judged)} of {len(judged)}" if judged else "reported"


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def _picture(name: str, drawn: Sequence[str]) -> list[str]:
    """The picture for light and for dark pages; nothing where there is none."""
    if name not in drawn:
        return []
    return [
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{name}-dark.png">\n'
        f'  <img alt="{PICTURES[name]}" src="{name}-light.png">\n'
        "</picture>"
    ]
