"""Verdicts as figures: counts, scores, what differs between two servers; kept as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.contract.case import Case, Outcome, Verdict

RIGHT = (Outcome.HONOURED, Outcome.BY_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one server made of the table, as far as it was run. ``version`` is that of the server, where known."""

    title: str
    model: str
    version: str = ""
    verdicts: tuple[Verdict, ...] = ()

    def of(self, name: str) -> Verdict | None:
        """The verdict of a case; None where it was not run."""
        return next((verdict for verdict in self.verdicts if verdict.name == name), None)

    def counts(self, cases: Iterable[Case]) -> Counter[Outcome]:
        """How often each outcome came among these cases."""
        wanted = {case.name for case in cases}
        return Counter(verdict.outcome for verdict in self.verdicts if verdict.name in wanted)


def score(counts: Mapping[Outcome, int]) -> str:
    """The share of requests that were honoured or refused by name, in percent."""
    total = sum(counts.values())
    right = sum(counts.get(outcome, 0) for outcome in RIGHT)
    return f"{100 * right / total:.1f} %" if total else "none"


def differing(first: Result, second: Result) -> dict[str, tuple[Outcome, Outcome]]:
    """Cases that both have run and that ended in two classes."""
    pairs = ((one, second.of(one.name)) for one in first.verdicts)
    return {one.name: (one.outcome, other.outcome) for one, other in pairs if other and one.outcome != other.outcome}


def groups(cases: Sequence[Case]) -> list[str]:
    """The groups in the order of the table."""
    return list(dict.fromkeys(case.group for case in cases))


def apis(cases: Sequence[Case]) -> list[str]:
    """The APIs in the order of the table."""
    return list(dict.fromkeys(case.api for case in cases))


def written(result: Result) -> str:
    """A result as JSON."""
    verdicts = [
        {
            "name": one.name,
            "outcome": one.outcome.value,
            "reason": one.reason,
            "invalid": list(one.invalid),
            "extras": sorted(one.extras),
            "seconds": round(one.seconds, 3),
        }
        for one in result.verdicts
    ]
    whole = {"title": result.title, "model": result.model, "version": result.version, "verdicts": verdicts}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def load(file: Path) -> Result:
    """A result from its JSON. Errors: OSError, ValueError, LookupError."""
    whole: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    verdicts = tuple(
        Verdict(
            name=one["name"],
            outcome=Outcome(one["outcome"]),
            reason=one["reason"],
            invalid=tuple(one["invalid"]),
            extras=frozenset(one["extras"]),
            seconds=one["seconds"],
        )
        for one in whole["verdicts"]
    )
    return Result(title=whole["title"], model=whole["model"], version=whole["version"], verdicts=verdicts)
