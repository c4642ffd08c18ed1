"""What a person is shown."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from fluid_server.cli.bench_figures import Answer, Measured, figures
from fluid_server.cli.bench_record import Record
from fluid_server.cli.bench_table import number, picture

ANSWER = Answer(chunks=(1.25, 1.5, 2.0), end=12.0, tokens=1024, prompt_tokens=2000, cached_tokens=500)
SEEN = Measured(streams=1, run=1, seconds=10.0, answers=[ANSWER] * 4, failures={}, client_cpu=0.02)
RECORD = Record(
    when="2026-11-26T12:00:00+00:00",
    server={"url": "http://127.0.0.1:8080/v1", "counts_tokens": True},
    model={"id": "some-model", "runtime": "openvino", "device": "CPU"},
    load={"max_tokens": 1024, "prompt_words": 99, "shared_prefix": False, "ignore_eos": True},
    machine={},
    levels=[figures(SEEN), figures(replace(SEEN, streams=32, seconds=2.5))],
    complete=True,
)


def shown(record: Record, width: int = 80) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width)
    console.print(picture(record, width))
    return text.getvalue()


def changed(**seen: Any) -> Record:
    return replace(RECORD, levels=[figures(replace(SEEN, **seen))])


def test_everything_fits_eighty_columns() -> None:
    runs = [figures(replace(SEEN, streams=streams, run=run)) for run in (1, 2) for streams in (1, 128)]
    text = shown(replace(RECORD, levels=runs))
    assert "…" not in text
    assert "OVER ALL RUNS" in text
    assert "Medians of 2 runs" in text


def test_the_longest_bar_is_of_the_largest_value() -> None:
    one, many = [line for line in shown(RECORD, 120).splitlines() if "█" in line][:2]
    assert (one.split()[:2], one.count("█")) == (["1", "410"], 5)
    assert (many.split()[:2], many.count("█")) == (["32", "1,638"], 20)


def test_latencies_are_in_milliseconds_and_named_once() -> None:
    text = shown(RECORD)
    assert text.count("time to first token") == 1
    first = next(line for line in text.splitlines() if line.startswith("time to first token"))
    assert first.split()[5] == "1,250"


def test_the_share_that_a_cache_knew_is_told() -> None:
    assert "Prompts of 2000 tokens, all different" in shown(RECORD, 140)
    assert "25% of them came from the server's cache" in shown(RECORD, 140)
    assert "all with one beginning" in shown(replace(RECORD, load={**RECORD.load, "shared_prefix": True}), 140)


@pytest.mark.parametrize(
    ("record", "warns"),
    [
        (RECORD, []),
        (changed(client_cpu=0.93), ["! This client was busy for 93% of a core: it may be what limits the figures."]),
        (changed(failures={"429 full": 3}), ["! 3 at 1 stream failed: 429 full"]),
        (replace(RECORD, complete=False), ["! Ended by Ctrl-C: these figures are of what was measured until then."]),
        (
            changed(answers=[ANSWER, replace(ANSWER, tokens=24)]),
            ["! Some answers ended before --max-tokens 1024: 24 tokens at least, 524 in the mean."],
        ),
        (
            replace(RECORD, server={**RECORD.server, "counts_tokens": False}),
            ["! The server does not count tokens: these are chunks, not tokens."],
        ),
    ],
)
def test_what_spoils_the_figures_is_told(record: Record, warns: list[str]) -> None:
    assert [line.rstrip() for line in shown(record, 140).splitlines() if line.startswith("!")] == warns


def test_where_nothing_was_answered_there_is_still_a_table() -> None:
    text = shown(changed(answers=[], failures={"connection cut": 4}))
    assert "! 4 at 1 stream failed: connection cut" in text
    assert "time to first token" not in text.partition("·")[0]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits_that_say_something(value: float, text: str) -> None:
    assert number(value) == text
