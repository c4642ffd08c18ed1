"""Speak the sentences with espeak-ng and flite, at 16 kHz mono.

    python synth.py train --english 22000 --french 6000 --seed 11
    python synth.py test --english 100 --french 50 --seed 77

Each makes NAME.pcm, one file of little-endian 16-bit samples, and NAME.json, its index.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from text import english, french

RATE = 16000  # samples a second
LONGEST = 7.5  # seconds; longer clips are left out
LOUDEST = 20000
SILENCE = 200  # samples up to this are cut off both ends

ENGLISH_VOICES = ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp")
FRENCH_VOICES = ("fr-fr", "fr-be", "fr-ch")
VARIANTS = (
    *("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5"),
    *(
        "+steph",
        "+adam",
        "+max",
        "+benjamin",
        "+zac",
        "+linda",
        "+anika",
        "+Andy",
        "+Annie",
        "+john",
        "+iven3",
    ),
)
FLITE_VOICES = ("kal16", "awb", "rms", "slt")


class Clip(NamedTuple):
    """An entry of the index; offset and length are in samples."""

    offset: int
    length: int
    text: str
    translation: str  # English; of an English sentence itself
    language: str
    voice: str


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    if rate == RATE:
        return samples
    if rate > RATE:
        taps = np.hanning((int(2 * rate / RATE + 1) | 1) + 2)[1:-1]
        samples = np.convolve(samples, taps / taps.sum(), "same")
    times = np.arange(int(len(samples) * RATE / rate)) * (rate / RATE)
    return np.interp(times, np.arange(len(samples)), samples)


def flite(rng: Random, text: str) -> tuple[str, list[str]]:
    voice = rng.choice(FLITE_VOICES)
    stretch = rng.uniform(0.8, 1.25)
    female, male = rng.uniform(150, 200), rng.uniform(85, 130)  # both drawn, whoever speaks
    pitch = female if voice == "slt" else male
    settings = ["--setf", f"duration_stretch={stretch:.2f}", "--setf", f"int_f0_target_mean={pitch:.0f}"]
    return voice, ["flite", "-voice", voice, *settings, "-t", text, "-o", "/dev/stdout"]


def espeak(rng: Random, text: str, language: str) -> tuple[str, list[str]]:
    voices = ENGLISH_VOICES if language == "en" else FRENCH_VOICES
    voice = rng.choice(voices) + rng.choice(VARIANTS)
    speed, pitch, gap = rng.randint(115, 195), rng.randint(25, 75), rng.choice([0, 0, 1, 2, 4])
    settings = ["-s", str(speed), "-p", str(pitch), "-g", str(gap)]
    return voice, ["espeak-ng", "-v", voice, *settings, "--stdout", text]


def decoded(wav: bytes) -> np.ndarray:
    """Both programs write a length they cannot know yet into the header: take all that follows "data"."""
    start = wav.find(b"data") + 8
    rate = int.from_bytes(wav[24:28], "little")
    whole = (len(wav) - start) // 2 * 2
    return resample(np.frombuffer(wav[start : start + whole], dtype="<i2").astype(np.float32), rate)


def trimmed(samples: np.ndarray) -> np.ndarray:
    loud = np.abs(samples) > SILENCE
    if not loud.any():
        return samples[:0]
    return samples[loud.argmax() : len(loud) - loud[::-1].argmax()]


def voiced(rng: Random, text: str, language: str) -> tuple[str, list[str]]:
    """A voice, and the command that makes it say this."""
    if language == "en" and rng.random() < 0.3:
        return flite(rng, text)
    return espeak(rng, text, language)


def spoken(command: list[str]) -> np.ndarray:
    """16-bit samples; none when nothing was to be heard."""
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    samples = trimmed(decoded(said.stdout))
    if len(samples):
        samples = np.clip(samples / np.abs(samples).max() * LOUDEST, -32768, 32767)
    return samples.astype("<i2")


def sentences(rng: Random, in_english: int, in_french: int) -> Iterator[tuple[str, str, str]]:
    """Text, its English translation, language. Lazy: the voices are drawn from ``rng`` in between."""
    for _ in range(in_english):
        text = english(rng)
        yield text, text, "en"
    for _ in range(in_french):
        yield *french(rng), "fr"


def synthesize(name: Path, rng: Random, in_english: int, in_french: int, processes: int) -> list[Clip]:
    drawn = [(*said, *voiced(rng, said[0], said[2])) for said in sentences(rng, in_english, in_french)]
    clips: list[Clip] = []
    offset, started = 0, time.monotonic()
    with name.with_suffix(".pcm").open("wb") as file, ProcessPoolExecutor(processes) as pool:
        said = pool.map(spoken, [command for *_, command in drawn], chunksize=50)
        for i, ((text, translation, language, voice, _), samples) in enumerate(zip(drawn, said, strict=True)):
            if 0 < len(samples) <= RATE * LONGEST:
                file.write(samples.tobytes())
                clips.append(Clip(offset, len(samples), text, translation, language, voice))
                offset += len(samples)
            if i % 1000 == 0:
                print(f"{i} sentences, {time.monotonic() - started:.0f} s", flush=True)
    name.with_suffix(".json").write_text(json.dumps(clips), encoding="utf-8")
    return clips


def load(name: Path) -> tuple[list[Clip], np.ndarray]:
    """The index, and all samples as one array mapped from the file."""
    rows = json.loads(name.with_suffix(".json").read_text(encoding="utf-8"))
    return [Clip(*row) for row in rows], np.memmap(name.with_suffix(".pcm"), dtype="<i2", mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path("build/demo-models/speech")
    parser.add_argument("name", help="of the set: train or test")
    parser.add_argument("--english", type=int, default=22000, help="sentences (default: %(default)s)")
    parser.add_argument("--french", type=int, default=6000, help="sentences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=11, help="of sentences and voices (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=folder, help="where it goes (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="voices at once (default: %(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    clips = synthesize(args.folder / args.name, Random(args.seed), args.english, args.french, args.processes)
    hours = sum(clip.length for clip in clips) / RATE / 3600
    print(f"{len(clips)} clips, {hours:.2f} hours")


if __name__ == "__main__":
    main()
