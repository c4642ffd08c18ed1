"""Long recordings through the server: is every sentence found once, in order, at its time, and in what memory?

uv run benchmarks/speech_long.py [--sentences 200] [--minutes 20] [--hours 1] [--french 40] [--model NAME] [--json FILE]

The recording is stitched from known sentences with silences of 1.2 seconds and more between them; each sentence is
sent alone too, so that what the model does not know is told from what cutting and joining spoil. Then an hour of the
same for the memory, and French sentences: transcribed, translated, detected. The exit code is 1 where a sentence is
missing, doubled or out of order, or starts more than 0.3 s from where it truly does.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.server import Server
from benchmarks.soak_watch import Watch
from benchmarks.speech_client import Listener
from benchmarks.speech_corpus import MODEL, RATE, Recording, Spoken, clean, corpus, missing, stitched
from benchmarks.speech_files import FLAC, OPUS, WAV, Kind, encoded
from benchmarks.word_errors import Score, aligned, distance, words_of

LIMIT = 0.3  # seconds that a start may be off
LOOK_EVERY = 0.25
SEED = 31
LANGUAGE_NAMES = {"fr": ("fr", "french")}


@dataclass(slots=True)
class Memory:
    """Resident megabytes of the server process and of its workers: before, and at most."""

    server: tuple[float, float]
    workers: tuple[float, float]


@dataclass(slots=True)
class Found:
    """What became of one recording. ``off``: the absolute errors of all starts, in seconds, rising."""

    seconds: float
    took: float
    sentences: int
    exact: int
    exact_alone: int
    word_error_rate: float
    lost: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    off: list[float] = field(default_factory=list)
    memory: Memory | None = None

    @property
    def passed(self) -> bool:
        """Whether every sentence was found once, in order, at its time."""
        return not self.lost and not self.extra and max(self.off, default=0.0) <= LIMIT


@contextmanager
def remembered(watch: Watch) -> Generator[list[Memory], None, None]:
    """What is done inside is watched; its memory is there afterwards."""
    before, made = watch.look(), list[Memory]()
    first, done = len(watch.samples), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY):
            watch.look()

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield made
    finally:
        done.set()
        looking.join()
        samples = [*watch.samples[first:], watch.look()]
        server, workers = max(one.server for one in samples), max(one.workers for one in samples)
        made.append(Memory((before.server, server), (before.workers, workers)))


def alone(listener: Listener, spoken: Sequence[Spoken], language: str = "en") -> list[str]:
    """The transcript of each sentence in a file of its own."""
    return [listener.text(encoded(clean(one), RATE, WAV), "wav", language) for one in spoken]


def listened(listener: Listener, watch: Watch, recording: Recording, kind: Kind, texts_alone: list[str]) -> Found:
    """One recording as one file. The sentences are looked for in its segments."""
    data = encoded(recording.samples, RATE, kind)
    started = time.perf_counter()
    with remembered(watch) as memory:
        answer = listener.verbose(data, kind.suffix, "en")
    took = time.perf_counter() - started
    said = [one.sentence.text for one in recording.spoken]
    segments = answer.segments or []
    heard = [segment.text for segment in segments]
    found, score = aligned(said, heard), Score()
    for sentence, segment in found.pairs:
        score.add(said[sentence], heard[segment])
    pairs = zip(said, texts_alone, strict=True)
    return Found(
        seconds=recording.seconds,
        took=took,
        sentences=len(said),
        exact=score.exact,
        exact_alone=sum(distance(words_of(first), words_of(text)) == 0 for first, text in pairs),
        word_error_rate=score.rate,
        lost=[f"{recording.starts[one]:.2f} s: {said[one]}" for one in found.lost],
        extra=[f"{segments[one].start:.2f} s: {heard[one]}" for one in found.extra],
        off=sorted(abs(segments[segment].start - recording.starts[one]) for one, segment in found.pairs),
        memory=memory[0],
    )


@dataclass(frozen=True, slots=True)
class French:
    """Of the French sentences: word error rates in percent, exact ones, and how many were detected as French."""

    sentences: int
    transcribed: float
    transcribed_exact: int
    translated: float
    translated_exact: int
    detected: int


def french(listener: Listener, spoken: Sequence[Spoken]) -> French:
    """Each sentence untold, and translated."""
    transcribed, translated, detected = Score(), Score(), 0
    for one in spoken:
        data = encoded(clean(one), RATE, WAV)
        answer = listener.verbose(data, "wav")
        detected += answer.language.lower() in LANGUAGE_NAMES["fr"]
        transcribed.add(one.sentence.text, answer.text)
        translated.add(one.sentence.translation, listener.translated(data, "wav"))
    return French(
        sentences=len(spoken),
        transcribed=round(transcribed.rate, 2),
        transcribed_exact=transcribed.exact,
        translated=round(translated.rate, 2),
        translated_exact=translated.exact,
        detected=detected,
    )


def show(name: str, found: Found) -> None:
    """For people."""
    off = found.off or [0.0]
    at = {share: off[min(len(off) - 1, int(len(off) * share))] for share in (0.5, 0.9, 0.99)}
    print(f"{name}: {found.seconds:.0f} s in {found.took:.1f} s, {found.seconds / found.took:.0f} times real time")
    print(
        f"  {found.sentences} sentences: {len(found.off)} found, {len(found.lost)} lost, {len(found.extra)} extra; "
        f"{found.exact} exact (each alone: {found.exact_alone}), word error rate {found.word_error_rate:.1f} %"
    )
    print(
        f"  starts off by {at[0.5]:.2f} s (median), {at[0.9]:.2f} (90 %), {at[0.99]:.2f} (99 %), {off[-1]:.2f} (most)"
    )
    if found.memory:
        (server, most), (workers, workers_most) = found.memory.server, found.memory.workers
        print(f"  server {server:.0f} MB, at most {most:.0f}; worker {workers:.0f} MB, at most {workers_most:.0f}")
    for what, rows in (("lost", found.lost), ("extra", found.extra)):
        for row in rows[:20]:
            print(f"  {what} at {row}")


def measured(listener: Listener, watch: Watch, options: argparse.Namespace) -> dict[str, Any]:
    """All three."""
    results: dict[str, Any] = {}
    new = options.sentences // 4
    spoken = corpus(options.sentences - new, seed=SEED) + corpus(new, seed=SEED + 1, new=True)
    texts = alone(listener, spoken)
    recording = stitched(spoken, seed=SEED, seconds=options.minutes * 60)
    results["long"] = listened(listener, watch, recording, FLAC, texts)
    show("stitched", results["long"])
    if options.hours:
        times = round(options.hours * 60 / options.minutes)
        recording = stitched(spoken * times, seed=SEED + 2, seconds=options.hours * 3600)
        results["hours"] = listened(listener, watch, recording, OPUS, texts * times)
        show("hours", results["hours"])
    if options.french:
        results["french"] = french(listener, corpus(options.french, seed=SEED + 3, language="fr"))
        print(results["french"])
    return results


def main() -> int:
    """Measure; 1 where the stitched recording was not heard as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=200, help="in the recording (default: 200)")
    parser.add_argument("--minutes", type=float, default=20, help="its length (default: 20)")
    parser.add_argument("--hours", type=float, default=1, help="length of the second one, 0 for none (default: 1)")
    parser.add_argument("--french", type=int, default=40, help="French sentences, 0 for none (default: 40)")
    parser.add_argument("--model", default=MODEL, help="the model (default: the demo model)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if lacking := missing():
        parser.error(f"install {', '.join(lacking)} first")
    server = Server("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning")
    try:
        results = measured(Listener(server.url, options.model), Watch(server.process.pid), options)
    finally:
        server.stop()
    if options.json:
        plain = {name: asdict(result) for name, result in results.items()}
        options.json.write_text(json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if results["long"].passed else 1


if __name__ == "__main__":
    sys.exit(main())
