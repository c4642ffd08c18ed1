"""Word error rate of the speech model through OpenVINO GenAI, on sentences drawn with a fresh seed.

    python synth.py test --english 100 --french 50 --seed 77
    python evaluate.py models/whisper/fluid-tiny-whisper-ov

Half a second of silence goes before and after each sentence.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from synth import RATE, Clip, load

if TYPE_CHECKING:
    from openvino_genai import WhisperPipeline

PADDING = 0.5  # seconds


def words_of(text: str) -> list[str]:
    return re.sub(r"[^\w' ]", "", text.lower().replace("-", " ")).split()


def distance(wanted: list[str], got: list[str]) -> int:
    """Words to put in, take out or change (Levenshtein)."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        above, row[0] = row[:], i
        for j, other in enumerate(got, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return row[-1]


@dataclass
class Score:
    errors: int = 0
    words: int = 0
    exact: int = 0
    wrong: list[str] = field(default_factory=list)
    sentences: int = 0

    def add(self, wanted: str, got: str, voice: str) -> None:
        errors = distance(words_of(wanted), words_of(got))
        self.errors += errors
        self.words += len(words_of(wanted))
        self.exact += errors == 0
        self.sentences += 1
        if errors:
            self.wrong.append(f"{voice}: wanted {wanted!r}, got {got!r}")

    def __str__(self) -> str:
        rate = 100 * self.errors / max(self.words, 1)
        return f"word error rate {rate:.1f} %, {self.exact} of {self.sentences} exact"


def padded(clip: Clip, samples: np.ndarray) -> np.ndarray:
    speech = samples[clip.offset : clip.offset + clip.length].astype(np.float32) / 32768
    return np.pad(speech, int(PADDING * RATE))


def score(pipeline: WhisperPipeline, clips: list[Clip], samples: np.ndarray) -> dict[tuple[str, str], Score]:
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    for clip in clips:
        wanted = {"transcribe": clip.text}
        if clip.language == "fr":
            wanted["translate"] = clip.translation
        for task, text in wanted.items():
            language = f"<|{clip.language}|>"
            result = pipeline.generate(padded(clip, samples), max_new_tokens=60, language=language, task=task)
            scores[clip.language, task].add(text, result.texts[0].strip(), clip.voice)
    return scores


def show_languages_and_times(pipeline: WhisperPipeline, clips: list[Clip], samples: np.ndarray) -> None:
    right = 0
    for clip in clips:
        result = pipeline.generate(padded(clip, samples), max_new_tokens=60, return_timestamps=True)
        right += (result.language or "").strip("<|>") == clip.language
    print(f"language detected: {right} of {len(clips)}")
    chunks = [f"{chunk.start_ts:.2f} to {chunk.end_ts:.2f}:{chunk.text}" for chunk in result.chunks]
    print(f"segments of the last one: {chunks}, truly {PADDING} to {PADDING + clip.length / RATE:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path("build/demo-models/speech")
    parser.add_argument("model", help="a folder of OpenVINO IR")
    parser.add_argument("--number", type=int, default=100, help="English sentences; half as many French ones")
    parser.add_argument("--folder", type=Path, default=folder, help="of the test set (default: %(default)s)")
    parser.add_argument("--show", type=int, default=4, help="wrong answers to show (default: %(default)s)")
    args = parser.parse_args()
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing OpenVINO reports home else
    from openvino_genai import WhisperPipeline

    clips, samples = load(args.folder / "test")
    english = [clip for clip in clips if clip.language == "en"][: args.number]
    french = [clip for clip in clips if clip.language == "fr"][: args.number // 2]
    pipeline = WhisperPipeline(args.model, "CPU", INFERENCE_NUM_THREADS=1)
    for (language, task), result in score(pipeline, english + french, samples).items():
        print(f"{task} {language}: {result}", *result.wrong[: args.show], sep="\n    ")
    show_languages_and_times(pipeline, english[:10] + french[-10:], samples)


if __name__ == "__main__":
    main()
