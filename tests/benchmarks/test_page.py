"""The speed page: tables, verdicts, where it was measured, and what a run leaves as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import page, record
from benchmarks.figures import Row, Subject, Target, difference, ratio, value
from benchmarks.machine_facts import Load, Machine
from benchmarks.record import Measured, Taken
from benchmarks.sections import SECTIONS

MACHINE = Machine("A CPU", 2, 4, 23.5, "A system", "3.11.7")
TAKEN = Taken(
    date="2026-11-26", commit="abcdef", machine=MACHINE, versions={"openvino": "1.2"}, quick=False, repeats=5,
    seconds=61.2, before=Load(0.1, 0.05), minute_after=1.2, others=0.03,
)  # fmt: skip
SECTION = {section.name: section for section in SECTIONS}
FAST = ratio(Subject("1 stream", "tokens/s", Target(0.8)), [1700.0, 1800.0], [2000.0, 2000.0])
SLOW = ratio(Subject("8 streams", "tokens/s", Target(0.8)), [2370.0], [3000.0])


def test_a_table_has_medians_with_their_range_and_verdicts() -> None:
    assert page.table(SECTION["throughput"], [FAST, SLOW]).splitlines() == [
        "|  | through HTTP, tokens/s | engine alone, tokens/s | ratio | target |  |",
        "|---|---|---|---|---|---|",
        "| 1 stream | 1,750 (1,700 to 1,800) | 2,000 (2,000 to 2,000) | 0.88 (0.85 to 0.90) | at least 0.80 | holds |",
        "| 8 streams | 2,370 (2,370 to 2,370) | 3,000 (3,000 to 3,000) | 0.79 (0.79 to 0.79) | at least 0.80 "
        "| **misses by 0.010** |",
    ]


def test_units_that_differ_stand_beside_the_figures() -> None:
    rows = [value(Subject("live", "s", Target(0.5, most=True)), [0.4]), value(Subject("memory", "MB"), [61.9], [50.0])]
    assert page.table(SECTION["start"], rows).splitlines()[2:] == [
        "| live | 0.40 (0.40 to 0.40) s |  | at most 0.50 s | holds |",
        "| memory | 61.9 (61.9 to 61.9) MB | 50.0 (50.0 to 50.0) MB | none |  |",
    ]


def test_a_difference_is_told_with_its_unit() -> None:
    row = difference(Subject("short", "ms", Target(5.0, most=True)), [18.0], [10.0])
    told = page.table(SECTION["first-token"], [row]).splitlines()[2]
    assert told.endswith("| 8.00 (8.00 to 8.00) ms | at most 5.00 ms | **misses by 3.00 ms** |")


@pytest.mark.parametrize(
    ("one", "told"),
    [(12345.6, "12,346"), (99.94, "99.9"), (0.966, "0.97"), (0.004, "0.004"), (0.0, "0.00"), (-3.0, "-3.00")],
)
def test_a_number_has_about_three_digits(one: float, told: str) -> None:
    assert page.number(one) == told


def recorded(*rows: Row, taken: Taken = TAKEN, name: str = "throughput") -> record.Record:
    return {name: Measured(name, taken, rows)}


def test_the_page_says_where_and_when_and_how_many_targets_hold() -> None:
    told = page.generated(recorded(FAST, SLOW), [])
    assert "On A CPU, 2 cores, 4 threads, 24 GB, A system, Python 3.11.7; openvino 1.2." in told
    assert "(#generation-through-http)" in told
    assert "| 1 of 2 |" in told
    assert (
        "Measured 2026-11-26 at `abcdef`: 1 to 2 repeats, 61 s, load average 0.1 before and 1.2 after, others" in told
    )
    assert "not idle" not in told


@pytest.mark.parametrize("busy", [replace(TAKEN, before=Load(2.0, 1.4)), replace(TAKEN, others=0.9)])
def test_a_machine_that_was_not_idle_is_told(busy: Taken) -> None:
    assert "**The machine was not idle while these were measured: throughput.**" in page.generated(
        recorded(FAST, taken=busy), []
    )


def test_what_is_missing_and_why_is_told() -> None:
    taken = replace(TAKEN, problem="RuntimeError: the engine alone ended.", quick=True)
    told = page.generated(recorded(FAST, taken=taken), [])
    assert "the quick form, 2 repeats" in told
    assert "**Not complete: RuntimeError: the engine alone ended.**" in told


def test_a_picture_stands_where_it_was_drawn_in_both_colours() -> None:
    told = page.generated(recorded(FAST), ["throughput"])
    assert 'srcset="throughput-dark.png"' in told
    assert 'src="throughput-light.png"' in told
    assert "targets-light.png" not in told


def test_what_a_person_has_written_stays() -> None:
    before = f"# Speed\n\nOurs.\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\n## Why\n\nBecause.\n"
    after = page.put(before, "new")
    assert after == before.replace("old", "new")
    assert page.put(after, "new") == after


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="has lost its marks"):
        page.put("# Speed\n", "new")


def test_a_section_measured_alone_leaves_the_others_figures(tmp_path: Path) -> None:
    old = recorded(FAST) | recorded(SLOW, name="cancel")
    record.write(tmp_path, old)
    new = recorded(SLOW) | recorded(name="null")  # a section that came to nothing is no section
    assert record.merged(record.read(tmp_path), new) == {**recorded(SLOW), **recorded(SLOW, name="cancel")}


def test_figures_of_another_version_are_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / record.FILE).write_text('{"throughput": {"rows": []}}', encoding="utf-8")
    with pytest.raises(ValueError, match="delete it and measure anew"):
        record.read(tmp_path)
