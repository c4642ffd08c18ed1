"""Makes the spoken clips that the tests use, tests/fixtures/audio/spoken, from one seed: the same again each time.

uv run benchmarks/speech_fixtures.py [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import speech_corpus, speech_files
from benchmarks.server import ROOT
from benchmarks.speech_corpus import PADDING, RATE, Spoken

# Of a corpus (its seed, what kind) these. The demo model hears each of them rightly however it is cut, encoded or
# computed (f32, bf16): a test that fails is not about the model.
CHOSEN: tuple[tuple[dict[str, Any], tuple[int, ...]], ...] = (
    ({"seed": 502}, (1, 4, 5, 6, 7, 9, 10, 12)),
    ({"seed": 506, "new": True}, (1, 6, 12, 13)),
    ({"seed": 504, "language": "fr"}, (0, 1, 2, 5)),
)


def chosen() -> list[Spoken]:
    """The sentences of the tests: by voices of the training set, by others, in French."""
    drawn = [(speech_corpus.corpus(max(numbers) + 1, **kind), numbers) for kind, numbers in CHOSEN]
    return [spoken[number] for spoken, numbers in drawn for number in numbers]


def write(folder: Path, spoken: Iterable[Spoken]) -> None:
    """Each clip as flac at 16 kHz, and ``sentences.json``: file, text, translation, language, voice, start, end."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, one in enumerate(spoken, 1):
        name = f"{number:02d}-{one.sentence.language}.flac"
        (folder / name).write_bytes(speech_files.encoded(speech_corpus.clean(one), RATE, speech_files.FLAC))
        times = {"start": PADDING, "end": round(PADDING + one.seconds, 3)}
        rows.append({"file": name, **asdict(one.sentence), "voice": one.voice, **times})
    index = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    (folder / "sentences.json").write_text(index, encoding="utf-8")


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = ROOT / "tests" / "fixtures" / "audio" / "spoken"
    parser.add_argument("--folder", type=Path, default=folder, help="where they go (default: the tests' fixtures)")
    options = parser.parse_args()
    spoken = chosen()
    write(options.folder, spoken)
    print(f"{len(spoken)} clips, {sum(one.seconds for one in spoken):.0f} s of speech")


if __name__ == "__main__":
    main()
