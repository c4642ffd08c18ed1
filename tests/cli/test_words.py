"""Figures and tables as people read them."""

from __future__ import annotations

import pytest

from fluid_server.cli.words import about, duration, percent, repeated, shortened, size, table


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (4_002_816, "4.0 MB"), (7 * 10**12, "7000.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (12.4, "12 s"),
        (65, "1 min 5 s"),
        (600, "10 min"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (45, "45 seconds"), (61, "1 minute"), (239, "4 minutes"), (7200, "2 hours"), (200000, "2 days")],
)
def test_times_that_nobody_needs_to_the_second(seconds: float, text: str) -> None:
    assert about(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "text"), [(0, 0, "0 %"), (1, 3, "33 %"), (999, 1000, "99 %"), (5, 5, "100 %")]
)
def test_shares(done: int, total: int, text: str) -> None:
    assert percent(done, total) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("A", "B"), ("long", "x"), ("é", "")]) == "A     B\nlong  x\né"


def test_a_name_is_repeated_without_what_would_move_a_cursor() -> None:
    assert repeated("a\x1b[2Jb") == "a?[2Jb"
    assert len(repeated("x" * 500)) == 61


@pytest.mark.parametrize(
    ("text", "width", "short"), [("abcdef", 6, "abcdef"), ("abcdefgh", 6, "abc…gh"), ("abcdefgh", 1, "…"), ("", 0, "")]
)
def test_a_name_is_cut_in_the_middle(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short
