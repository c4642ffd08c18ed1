"""Verdicts on the terminal, as they come."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.contract.case import Case, Outcome, Verdict
from scripts.contract.scoring import RIGHT, Result, apis, groups, score

STYLES = {
    Outcome.HONOURED: "green",
    Outcome.BY_NAME: "cyan",
    Outcome.OTHERWISE: "yellow",
    Outcome.IGNORED: "magenta",
    Outcome.BROKEN: "bold red",
}


class Screen:
    """One line a case, then the scores. ``brief`` leaves out what is right."""

    def __init__(self, console: Console, *, brief: bool) -> None:
        self._console = console
        self._brief = brief

    def title(self, text: str) -> None:
        """What is about to be tried."""
        self._console.rule(text)

    def verdict(self, number: int, total: int, verdict: Verdict) -> None:
        """One case is done."""
        if self._brief and verdict.outcome in RIGHT:
            return
        line = Text.assemble(
            (f"{number:>4}/{total} ", "dim"),
            (f"{verdict.outcome.value:<18}", STYLES[verdict.outcome]),
            verdict.name,
            (f"  {verdict.seconds:.1f} s", "dim"),
        )
        self._console.print(line, soft_wrap=True)
        reason = verdict.reason if verdict.outcome != Outcome.BY_NAME else ""
        for note in filter(None, (reason, *(verdict.invalid if not self._brief else ()))):
            self._console.print(Text(f"          {note}", style="dim"), soft_wrap=True)

    def scores(self, results: Sequence[Result], cases: Sequence[Case]) -> None:
        """The scores of each server by group, side by side."""
        table = Table(title="Honoured or refused by name")
        table.add_column("group")
        for result in results:
            table.add_column(f"{result.title}\n{result.model}", justify="right")
        for group in groups(cases):
            inside = [case for case in cases if case.group == group]
            table.add_row(group, *(_share(result, inside) for result in results))
        contract = [case for case in cases if not case.ours]
        table.add_section()
        for api in apis(cases):
            inside = [case for case in cases if case.api == api]
            table.add_row(api, *(score(result.counts(inside)) for result in results))
        table.add_section()
        for outcome in Outcome:
            table.add_row(outcome.value, *(str(result.counts(contract)[outcome]) for result in results))
        table.add_row("score", *(score(result.counts(contract)) for result in results), style="bold")
        self._console.print(table)


def _share(result: Result, cases: Sequence[Case]) -> str:
    counts = result.counts(cases)
    return f"{sum(counts[outcome] for outcome in RIGHT)} of {counts.total()}"
