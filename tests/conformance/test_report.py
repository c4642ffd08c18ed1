"""docs/conformance.md says what the table and our server say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.contract.case import Ask, Case, Outcome, Verdict
from scripts.contract.report import report
from scripts.contract.scoring import Result, differing, load, score, written
from scripts.contract.table import CASES
from tests.conformance.page import page, rows

ASK = Ask(path="/chat/completions", body={})
TWO = tuple(Case(name=name, group="g", api="chat", proves="p", asks=(ASK,)) for name in ("one", "two"))


def result(title: str, *outcomes: Outcome) -> Result:
    """A server that made this of the two cases."""
    pairs = zip(("one", "two"), outcomes, strict=False)
    return Result(
        title=title, model="m", verdicts=tuple(Verdict(name=a, outcome=b, reason="why | so") for a, b in pairs)
    )


def test_the_page_names_every_case_and_what_it_proves() -> None:
    text = page()
    for case in CASES:
        assert f"| {case.name}{' °' if case.able else ''} | {case.proves} |" in text


def test_the_page_has_these_cases_and_no_others() -> None:
    assert rows().keys() == {case.name for case in CASES}


def test_a_difference_is_told_with_its_reason() -> None:
    ours = [
        result("Fluid Server, A", Outcome.HONOURED, Outcome.BY_NAME),
        result("Fluid Server, B", Outcome.HONOURED, Outcome.HONOURED),
    ]
    assert differing(*ours) == {"two": (Outcome.BY_NAME, Outcome.HONOURED)}
    written_page = report(ours, TWO, {"two": "A cannot."})
    assert "| two | refused | honoured | A cannot. |" in written_page
    assert "why \\| so" in written_page


def test_a_peer_is_shown_with_what_was_seen() -> None:
    told = report([result("Fluid Server, A", Outcome.HONOURED), result("Other", Outcome.IGNORED)], TWO, {})
    assert "1 cases that Other does not pass" in told
    assert "| two | p | – | – |" in told  # noqa: RUF001 (neither has run it)


def test_a_score_counts_what_is_honoured_or_refused_by_name() -> None:
    assert score(result("A", Outcome.HONOURED, Outcome.IGNORED).counts(TWO)) == "50.0 %"
    assert score(result("A").counts(TWO)) == "none"


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    kept = result("A", Outcome.BROKEN, Outcome.OTHERWISE)
    (tmp_path / "a.json").write_text(written(kept), encoding="utf-8")
    assert load(tmp_path / "a.json") == kept


@pytest.mark.parametrize("hidden", [str(Path.home()), str(Path.cwd())])
def test_nothing_of_this_machine_is_on_the_page(hidden: str) -> None:
    assert hidden not in page()
