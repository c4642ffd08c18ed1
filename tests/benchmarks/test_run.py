"""The command that measures: what it writes down, what it keeps when it is ended, what it says of the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import machine_facts, record, run
from benchmarks.effort import Effort
from benchmarks.figures import Row, Subject, value
from benchmarks.page import BEGIN, END
from benchmarks.progress import Progress, expected, minutes
from benchmarks.sections import SECTIONS, Section, chosen


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that need not be watched for a second to be known as idle."""
    monkeypatch.setattr(machine_facts, "load", lambda: machine_facts.Load(minute=0.1, busy=0.0))


def whole(effort: Effort) -> Iterator[Row]:
    """Two rows, of as many repeats as were asked for."""
    for name in ("first", "second"):
        yield value(Subject(name, "s"), [float(number) for number in effort.rounds(name)])


def ended(effort: Effort) -> Iterator[Row]:
    """As if somebody had pressed Ctrl-C after the first row."""
    yield next(whole(effort))
    raise KeyboardInterrupt


def broken(effort: Effort) -> Iterator[Row]:
    """An engine that dies after the first row."""
    yield next(whole(effort))
    raise RuntimeError("the engine alone ended")


def section(name: str) -> Section:
    return replace(SECTIONS[0], name=name, source=f"{__name__}:{name}")


def test_what_was_measured_is_written_as_figures_and_page(tmp_path: Path) -> None:
    found, interrupted = run.run([section("whole")], {}, quick=False, repeats=3)
    assert not interrupted
    assert [row.ours.median for row in found["whole"].rows] == [1.0, 1.0]
    taken = found["whole"].taken
    assert (taken.repeats, taken.quick, taken.problem) == (3, False, None)
    assert taken.machine.cores >= 1
    page = run.write(tmp_path, {"throughput": found["whole"]}, None)
    assert record.read(tmp_path)["throughput"].rows == found["whole"].rows
    text = page.read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index("| first |") < text.index(END)


def test_ctrl_c_keeps_the_rows_that_are_there_and_ends_the_run() -> None:
    found, interrupted = run.run([section("ended"), section("whole")], {}, quick=True, repeats=1)
    assert interrupted
    assert list(found) == ["ended"]
    assert [row.what for row in found["ended"].rows] == ["first"]
    assert found["ended"].taken.problem == run.ENDED


def test_a_section_that_breaks_is_told_and_the_next_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found, interrupted = run.run([section("broken"), section("whole")], {}, quick=True, repeats=1)
    assert not interrupted
    assert found["broken"].taken.problem == "RuntimeError: the engine alone ended."
    assert len(found["broken"].rows) == 1
    assert len(found["whole"].rows) == 2
    assert "broken: RuntimeError: the engine alone ended." in capsys.readouterr().err


@pytest.mark.parametrize("one", SECTIONS, ids=lambda one: str(one.name))
def test_every_section_names_a_function_that_is_there(one: Section) -> None:
    assert isinstance(one.measure(Effort(1, quick=True, tell=lambda what: None)), Iterator)


def test_the_list_names_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == [one.name for one in SECTIONS]


def test_sections_are_measured_in_the_page_s_order_whatever_the_order_of_the_wish() -> None:
    assert [one.name for one in chosen(["cancel", "throughput"])] == ["throughput", "cancel"]
    assert chosen([]) == list(SECTIONS)


def test_an_unknown_section_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--only", "nonsense"])
    assert "throughput" in capsys.readouterr().err


def test_pages_are_drawn_anew_without_measuring(tmp_path: Path) -> None:
    found, _ = run.run([section("whole")], {}, quick=True, repeats=1)
    record.write(tmp_path, {"cancel": found["whole"]})
    assert run.main(["--draw", "--no-pictures", "--out", str(tmp_path)]) == 0
    assert "| first |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_time_left_is_a_guess_until_there_is_a_run_to_go_by() -> None:
    guess = replace(section("whole"), seconds=100, quick_seconds=10)
    assert expected(guess, {}, quick=False, repeats=10) == 200
    assert expected(guess, {}, quick=True, repeats=2) == 10
    found, _ = run.run([section("whole")], {}, quick=False, repeats=4)
    before = {"whole": replace(found["whole"], taken=replace(found["whole"].taken, seconds=40.0))}
    assert expected(guess, before, quick=False, repeats=2) == 20
    assert expected(guess, before, quick=True, repeats=2) == 10  # the other form says nothing of it


def test_the_time_left_is_of_this_section_and_all_that_follow() -> None:
    sections = [replace(section(name), seconds=100) for name in ("whole", "broken", "ended")]
    progress = Progress(sections, {}, quick=False, repeats=5)
    assert progress.left() == 300
    progress.begin(sections[1])
    assert 199 < progress.left() <= 200
    assert minutes(progress.left() - 75) in ("2:05", "2:04")
