"""Whether the two Whisper runtimes write the same: OpenVINO's pipeline, and the QNN runtime on onnxruntime's CPU.

    uv run -m benchmarks.speech_agreement [--english 100] [--french 50] [--seed 501] [--folder MODELS]

Both run the demo model's weights, in this process, through the whole pipeline of each. Printed are how many transcripts
are the same, word error rates against what was said, real-time factors, and every sentence on which they differ.
The sentences are spoken anew by espeak-ng and flite; half of the voices are none of the training set's.
"""

from __future__ import annotations

import argparse
import io
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.speech_corpus import RATE, Samples, Spoken, clean, corpus
from benchmarks.word_errors import Score
from fluid_server.catalog.scan import scan
from fluid_server.errors import FluidError
from fluid_server.runtimes.base import BaseRuntime
from fluid_server.runtimes.table import create
from fluid_server.types import RuntimeOptions, Segment, TranscribeRequest

MODELS = Path(__file__).resolve().parents[1] / "models"
RUNTIMES = (("openvino-whisper", "fluid-tiny-whisper-ov"), ("qnn-whisper", "fluid-tiny-whisper-qnn"))


@dataclass(frozen=True, slots=True)
class Heard:
    """One runtime's transcripts of all clips, and the seconds that it took."""

    name: str
    texts: tuple[str, ...]
    seconds: float


def spoken_anew(english: int, french: int, seed: int) -> list[Spoken]:
    """By voices of the training set and by others, half and half."""
    drawn: list[Spoken] = []
    for language, number in (("en", english), ("fr", french)):
        drawn += corpus(number - number // 2, seed=seed, language=language)
        drawn += corpus(number // 2, seed=seed + 1, language=language, new=True)
    return drawn


def hear(runtime: str, model: str, folder: Path, clips: Sequence[Spoken], task: str) -> Heard:
    """All clips through one runtime, one after the other; the languages are told."""
    made = create(runtime)
    (spec,) = (one for one in scan(folder) if one.id == model)
    made.load(spec, RuntimeOptions(), lambda text, done: None)
    requests = [
        TranscribeRequest(audio=_wav(clean(clip)), language=clip.sentence.language, task=task) for clip in clips
    ]
    list(_segments(made, requests[0]))
    started = time.perf_counter()
    texts = tuple("".join(one.text for one in _segments(made, request)).strip() for request in requests)
    seconds = time.perf_counter() - started
    made.close()
    return Heard(runtime, texts, seconds)


def _segments(runtime: BaseRuntime, request: TranscribeRequest) -> Iterator[Segment]:
    runtime.add(1, request)
    while runtime.busy:
        for _, event in runtime.step():
            if isinstance(event, FluidError):
                raise event
            if isinstance(event, Segment):
                yield event


def _wav(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def report(clips: Sequence[Spoken], task: str, one: Heard, other: Heard) -> None:
    """A table, then the sentences on which they differ."""
    same = sum(a == b for a, b in zip(one.texts, other.texts, strict=True))
    length = sum(len(clean(clip)) / RATE for clip in clips)
    print(f"\n{task}: {same} of {len(clips)} transcripts are the same ({100 * same / len(clips):.1f} %)\n")
    print("| runtime | word error rate | exact | real-time factor |\n| --- | --- | --- | --- |")
    for heard in (one, other):
        score = Score()
        for clip, text in zip(clips, heard.texts, strict=True):
            score.add(clip.sentence.translation if task == "translate" else clip.sentence.text, text)
        print(f"| {heard.name} | {score.rate:.1f} % | {score.exact} of {score.texts} | {heard.seconds / length:.3f} |")
    for clip, a, b in zip(clips, one.texts, other.texts, strict=True):
        if a != b:
            said = clip.sentence.text
            print(f"\n- said by {clip.voice}: {said}\n  - {one.name}: {a}\n  - {other.name}: {b}")


def main() -> None:
    """Read the arguments, speak, hear, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", type=int, default=100, help="sentences (default: %(default)s)")
    parser.add_argument("--french", type=int, default=50, help="sentences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=501, help="of sentences and voices (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=MODELS, help="of the models (default: this repository's)")
    args = parser.parse_args()
    clips = spoken_anew(args.english, args.french, args.seed)
    french = [clip for clip in clips if clip.sentence.language == "fr"]
    for task, some in (("transcribe", clips), ("translate", french)):
        one, other = (hear(runtime, model, args.folder, some, task) for runtime, model in RUNTIMES)
        report(some, task, one, other)


if __name__ == "__main__":
    main()
