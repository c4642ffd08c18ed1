"""Draw the speed page's pictures from the figures beside it, each for light and for dark pages.

uv run --isolated --only-group bench python benchmarks/plots.py FOLDER     names what it has drawn
uv run --isolated --only-group bench python benchmarks/plots.py --check    only sees that it could

Needs matplotlib and nothing else that is not in the standard library: it runs in an environment of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib as mpl

from benchmarks.figures import Row, from_json
from benchmarks.sections import SECTIONS

mpl.use("Agg")
import matplotlib.pyplot as plt

DPI = 160
FAR_LEFT, FAR_RIGHT = 1 / 128, 8.0  # shares of a limit that are told apart
TICKS = {1 / 64: "1/64", 1 / 16: "1/16", 1 / 4: "1/4", 1.0: "limit", 4.0: "4 ×"}
Rows = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours. ``ours`` and ``missed`` can be told apart by those who see red and green alike."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    ours: str
    missed: str


THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#6e7781", "#e4e8ec", "#0969da", "#bc4c00"),
    Theme("dark", "#0d1117", "#e6edf3", "#8b949e", "#262c34", "#58a6ff", "#f0883e"),
)


def read(folder: Path) -> Rows:
    """The rows of each section."""
    told = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    return {name: [from_json(row) for row in one["rows"]] for name, one in told.items()}


def throughput(rows: Rows, theme: Theme) -> Any:
    """Tokens a second by streams: a panel for each engine and model, with the ratio at each point."""
    found = rows.get("throughput", ())
    models = list(dict.fromkeys(row.place["model"] for row in found))
    engines = list(dict.fromkeys(row.place["engine"] for row in found))
    if not found:
        return None
    size = (3.1 * len(engines) + 0.6, 2.3 * len(models) + 0.7)
    figure, axes = plt.subplots(len(models), len(engines), figsize=size, squeeze=False, layout="constrained")
    for line, model in enumerate(models):
        for column, engine in enumerate(engines):
            mine = [row for row in found if row.place["model"] == model and row.place["engine"] == engine]
            _panel(axes[line][column], mine, theme)
            axes[line][column].set_title(f"{engine}, {model} model", loc="left", fontsize=9, color=theme.ink, pad=16)
        axes[line][0].set_ylabel("tokens/s", color=theme.muted)
    for axis in axes[-1]:
        axis.set_xlabel("streams", color=theme.muted)
    _key(figure, theme)
    return figure


def _panel(axis: Any, rows: Sequence[Row], theme: Theme) -> None:
    places = range(len(rows))
    peers = [row.peer for row in rows if row.peer is not None]
    for spreads, colour, style in ((peers, theme.muted, (0, (4, 2))), ([row.ours for row in rows], theme.ours, "-")):
        axis.plot(places, [one.median for one in spreads], color=colour, linestyle=style, marker="o", markersize=3.5)
        axis.fill_between(places, [one.low for one in spreads], [one.high for one in spreads], color=colour, alpha=0.15)
    for place, row in zip(places, rows, strict=True):
        colour = theme.missed if row.holds is False else theme.ink
        at = (place, 1.0)
        axis.annotate(
            f"{row.judged.median:.2f}", at, (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", fontsize=8, color=colour,
        )  # fmt: skip
    axis.set_xticks(list(places), [row.place["streams"] for row in rows])
    axis.set_xlim(-0.35, len(rows) - 0.65)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _quiet(axis, theme)


def _key(figure: Any, theme: Theme) -> None:
    lines = [
        plt.Line2D([], [], color=theme.ours, marker="o", markersize=3.5, label="through HTTP"),
        plt.Line2D([], [], color=theme.muted, linestyle=(0, (4, 2)), marker="o", markersize=3.5, label="engine alone"),
        plt.Line2D([], [], color="none", label="numbers: ratio of the two (orange: misses its target)"),
    ]
    key = figure.legend(handles=lines, loc="outside upper left", ncols=3, frameon=False, fontsize=8, handlelength=2.2)
    for text in key.get_texts():
        text.set_color(theme.ink)


def targets(rows: Rows, theme: Theme) -> Any:
    """A line for each section, on it a dot for each of its targets: the figure over its limit, up to 1 holds."""
    judged = {name: [row for row in mine if row.target is not None] for name, mine in rows.items()}
    names = {section.name: section.title for section in SECTIONS if judged.get(section.name)}
    if not names:
        return None
    figure, axis = plt.subplots(figsize=(7.6, 0.36 * len(names) + 1.0), layout="constrained")
    axis.set_xscale("log", base=2)
    axis.axvline(1.0, color=theme.ink, linewidth=1)
    for line, name in enumerate(names):
        for row, height in zip(judged[name], _spread_out(len(judged[name])), strict=True):
            share = FAR_LEFT if row.share_of_limit is None else min(FAR_RIGHT, max(FAR_LEFT, row.share_of_limit))
            colour = theme.ours if row.holds else theme.missed
            axis.plot(share, line + height, "o", markersize=4.5, color=colour, alpha=0.85, markeredgewidth=0)
    axis.set_yticks(range(len(names)), list(names.values()))
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(FAR_LEFT * 0.85, FAR_RIGHT)
    axis.set_xticks(list(TICKS), list(TICKS.values()))
    axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axis.set_xlabel("the figure, over its limit (left of the line: the target holds)", color=theme.muted)
    _quiet(axis, theme, "x")
    axis.tick_params(axis="y", labelcolor=theme.ink)
    return figure


def cold_start(rows: Rows, theme: Theme) -> Any:
    """A bar for each model: what its first answer waits for, one part after the other."""
    found = [row for row in rows.get("cold-start", ()) if row.place["part"] != "total"]
    models = list(dict.fromkeys(row.place["model"] for row in found))
    if not models:
        return None
    parts = list(dict.fromkeys(row.place["part"] for row in found))
    figure, axis = plt.subplots(figsize=(7.6, 0.36 * len(models) + 1.1), layout="constrained")
    ends = dict.fromkeys(models, 0.0)
    for part, strength in zip(parts, (0.3, 0.5, 0.75, 1.0), strict=False):
        mine = {row.place["model"]: row.ours.median for row in found if row.place["part"] == part}
        widths = [mine.get(model, 0.0) for model in models]
        starts = [ends[model] for model in models]
        axis.barh(models, widths, 0.6, starts, color=theme.ours, alpha=strength, label=part, linewidth=0)
        ends = {model: ends[model] + mine.get(model, 0.0) for model in models}
    axis.invert_yaxis()
    axis.set_xlabel("seconds", color=theme.muted)
    key = figure.legend(loc="outside upper left", ncols=len(parts), frameon=False, fontsize=8, handlelength=1.2)
    for text in key.get_texts():
        text.set_color(theme.ink)
    _quiet(axis, theme, "x")
    axis.tick_params(axis="y", labelcolor=theme.ink)
    return figure


def _spread_out(count: int) -> Iterator[float]:
    """Heights around a line, so that dots of equal shares are seen one by one."""
    for number in range(count):
        yield 0.0 if count == 1 else -0.22 + 0.44 * number / (count - 1)


def _quiet(axis: Any, theme: Theme, grid: str = "y") -> None:
    axis.set_facecolor(theme.paper)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.grid(visible=True, axis=grid, color=theme.grid, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelsize=8, labelcolor=theme.muted)


PICTURES: dict[str, Callable[[Rows, Theme], Any]] = {
    "throughput": throughput,
    "targets": targets,
    "cold-start": cold_start,
}


def draw(folder: Path) -> list[str]:
    """Draw what the figures are there for; the names of those pictures."""
    plt.rcParams.update({"font.size": 9, "axes.labelsize": 8, "lines.linewidth": 1.6})
    rows, drawn = read(folder), []
    for name, picture in PICTURES.items():
        for theme in THEMES:
            figure = picture(rows, theme)
            if figure is None:
                continue
            # Without the version of matplotlib in it the same figures give the same file.
            metadata = {"Software": None}
            figure.savefig(folder / f"{name}-{theme.name}.png", dpi=DPI, facecolor=theme.paper, metadata=metadata)
            plt.close(figure)
            drawn.append(name)
    return list(dict.fromkeys(drawn))


def main() -> None:
    """Draw into the folder that is named."""
    if sys.argv[1:] != ["--check"]:
        print(*draw(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
