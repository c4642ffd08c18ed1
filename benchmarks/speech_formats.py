"""Word error rates of the same speech in every kind of sound file, at five rates, mono and stereo, through the server.

uv run --with soundfile benchmarks/speech_formats.py [--sentences 60] [--rate 8000 …] [--model NAME] [--json FILE]

Half of the sentences are said by voices that the model was trained on, half by others (see speech_corpus.py). Each is
made once at the rate its program speaks at; every file comes from that, through a sharp filter. The measure is the
clean wav: 16 kHz, 16 bit, mono. Stereo has the speaker left of the middle. `uv run` without soundfile leaves out mono
Vorbis, which only libsndfile's encoder makes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.server import Server
from benchmarks.speech_client import Listener
from benchmarks.speech_corpus import MODEL, RATE, Spoken, clean, corpus, missing
from benchmarks.speech_files import KINDS, WAV, Kind, encoded
from benchmarks.word_errors import Score, distance, words_of

RATES = (8_000, 16_000, 22_050, 44_100, 48_000)
AT_ONCE = 2  # one file is made while another is heard
LIMIT = 1.0  # points of word error rate apart from the clean wav


class Cell(NamedTuple):
    """One kind of file at one rate. ``other``: transcripts that are not the clean wav's, in words."""

    kind: str
    rate: int
    channels: int
    word_error_rate: float
    exact: int
    other: int


def all_heard(listener: Listener, spoken: list[Spoken], kind: Kind, rate: int, channels: int) -> list[str]:
    """The transcripts of all sentences as such files."""

    def one(said: Spoken) -> str:
        return listener.text(encoded(clean(said, rate), rate, kind, channels), kind.suffix)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, spoken))


def cell(spoken: list[Spoken], got: list[str], reference: list[str], kind: Kind, rate: int, channels: int) -> Cell:
    """What became of all sentences in this kind of file."""
    score = Score()
    for said, text in zip(spoken, got, strict=True):
        score.add(said.sentence.text, text)
    other = sum(distance(words_of(first), words_of(text)) > 0 for first, text in zip(reference, got, strict=True))
    return Cell(kind.name, rate, channels, round(score.rate, 2), score.exact, other)


def measured(listener: Listener, spoken: list[Spoken], rates: Sequence[int]) -> Iterator[Cell]:
    """The clean wav first, then all others."""
    reference = all_heard(listener, spoken, WAV, RATE, 1)
    yield cell(spoken, reference, reference, WAV, RATE, 1)
    for kind in KINDS:
        for rate in rates:
            for channels in (1, 2):
                if kind.can(channels):
                    got = all_heard(listener, spoken, kind, rate, channels)
                    yield cell(spoken, got, reference, kind, rate, channels)


def table(cells: list[Cell], rates: Sequence[int]) -> str:
    """Markdown: word error rates in percent, mono / stereo."""
    found = {(one.kind, one.rate, one.channels): f"{one.word_error_rate:.1f}" for one in cells}
    heads = [f"{rate / 1000:g} kHz" for rate in rates]
    lines = [f"| file | {' | '.join(heads)} |", "|---" * (len(rates) + 1) + "|"]
    for kind in KINDS:
        row = [f"{found.get((kind.name, r, 1), '-')} / {found.get((kind.name, r, 2), '-')}" for r in rates]
        lines.append(f"| {kind.name} | {' | '.join(row)} |")
    return "\n".join(lines)


def summary(reference: Cell, cells: list[Cell], sentences: int) -> str:
    """How far the files are from the clean wav, at each rate."""
    lines = [f"clean wav: {reference.word_error_rate:.2f} %, {reference.exact} of {sentences} sentences exact"]
    for rate in sorted({one.rate for one in cells}):
        apart = {one: one.word_error_rate - reference.word_error_rate for one in cells if one.rate == rate}
        far = [f"{one.kind} x{one.channels} {points:+.1f}" for one, points in apart.items() if points > LIMIT]
        mean = sum(apart.values()) / len(apart)
        other = sum(one.other for one in apart) / len(apart)
        lines.append(
            f"{rate} Hz: {mean:+.2f} points on average ({min(apart.values()):+.2f} to {max(apart.values()):+.2f}), "
            f"{other:.1f} transcripts other than the clean wav's; over the limit: {', '.join(far) or 'none'}"
        )
    return "\n".join(lines)


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of sentences and voices (default: 1)")
    parser.add_argument("--rate", type=int, action="append", help="only this one (default: all five)")
    parser.add_argument("--model", default=MODEL, help="the model (default: the demo model)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if lacking := missing():
        parser.error(f"install {', '.join(lacking)} first")
    rates, half = options.rate or RATES, options.sentences // 2
    spoken = corpus(options.sentences - half, seed=options.seed) + corpus(half, seed=options.seed + 1, new=True)
    server = Server("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning")
    try:
        reference, *cells = measured(Listener(server.url, options.model), spoken, rates)
    finally:
        server.stop()
    print(table(cells, rates), summary(reference, cells, options.sentences), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps([one._asdict() for one in (reference, *cells)], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
