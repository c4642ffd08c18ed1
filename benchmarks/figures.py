"""What the benchmarks say: spreads of repeats, rows with a target, and whether it holds. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Judged = Literal["ratio", "difference", "value"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of some repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Target:
    """A limit; ``most`` where it is an upper one."""

    limit: float
    most: bool = False

    def missed_by(self, value: float) -> float:
        """How far a value is on the wrong side; 0 where the target holds."""
        return max(0.0, value - self.limit if self.most else self.limit - value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: what was measured of the server, beside it the peer's, and what the target is about.

    ``judged`` is of the repeats one by one: each repeat of ours is set against the peer's of the same moment, so that
    what else the machine did meets both. ``place`` says where the row belongs in a plot.
    """

    what: str
    unit: str
    ours: Spread
    peer: Spread | None = None
    judged: Spread
    by: Judged
    repeats: int
    target: Target | None = None
    place: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps the target; None where there is none."""
        return None if self.target is None else self.target.missed_by(self.judged.median) == 0

    @property
    def share_of_limit(self) -> float | None:
        """The judged median over its limit, turned so that up to 1 holds; None without a target."""
        if self.target is None or not self.target.limit or not self.judged.median:
            return None
        share = self.judged.median / self.target.limit
        return share if self.target.most else 1 / share


@dataclass(frozen=True, slots=True)
class Subject:
    """What a row is about, before it is measured."""

    what: str
    unit: str
    target: Target | None = None
    place: Mapping[str, str] = field(default_factory=dict)


def ratio(subject: Subject, ours: Sequence[float], peer: Sequence[float]) -> Row:
    """A row judged by ours over the peer's, repeat by repeat."""
    return _row(subject, "ratio", ours, peer, [mine / theirs for mine, theirs in zip(ours, peer, strict=True)])


def difference(subject: Subject, ours: Sequence[float], peer: Sequence[float]) -> Row:
    """A row judged by what ours has over the peer's, repeat by repeat, in the row's unit."""
    return _row(subject, "difference", ours, peer, [mine - theirs for mine, theirs in zip(ours, peer, strict=True)])


def value(subject: Subject, ours: Sequence[float], peer: Sequence[float] = ()) -> Row:
    """A row judged by our own figure; a peer's may stand beside it."""
    return _row(subject, "value", ours, peer, ours)


def given(
    subject: Subject, repeats: int, ours: Spread, peer: Spread | None = None, ratios: Spread | None = None
) -> Row:
    """A row of spreads that are known already; judged by the ratios where there are some, else by our own figure."""
    return Row(
        what=subject.what,
        unit=subject.unit,
        target=subject.target,
        place=dict(subject.place),
        ours=ours,
        peer=peer,
        judged=ratios or ours,
        by="ratio" if ratios else "value",
        repeats=repeats,
    )


def _row(subject: Subject, by: Judged, ours: Sequence[float], peer: Sequence[float], judged: Sequence[float]) -> Row:
    return Row(
        what=subject.what,
        unit=subject.unit,
        target=subject.target,
        place=dict(subject.place),
        ours=Spread.of(ours),
        peer=Spread.of(peer) if peer else None,
        judged=Spread.of(judged),
        by=by,
        repeats=len(judged),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum, as JSON has them."""
    told = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(one, 2) for name, one in told.items()}


def as_json(row: Row) -> dict[str, Any]:
    """As it lies in a file."""
    return asdict(row)


def from_json(told: Mapping[str, Any]) -> Row:
    """The row that ``as_json`` wrote."""
    fields: dict[str, Any] = dict(told)
    for name in ("ours", "peer", "judged"):
        fields[name] = Spread(**told[name]) if told[name] else None
    fields["target"] = Target(**told["target"]) if told["target"] else None
    return Row(**fields)
