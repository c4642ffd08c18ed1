"""How fast speech is recognised: 1, 2 and 4 files at once through HTTP beside the engine alone, and a chat beside it.

uv run benchmarks/speech_speed.py [--repeats 5] [--sentences 30] [--chat 10] [--json FILE]

A file is a recording of known sentences with silences between them: each sentence is one window of Whisper, and takes
it as long as 30 full seconds would. The engine alone gets the same windows, cut already, one after the other. Repeats
are interleaved; figures are medians with minimum and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.engines import body
from benchmarks.figures import spread
from benchmarks.peer import Peer
from benchmarks.server import ROOT, Server, chat
from benchmarks.speech_corpus import MODEL, RATE, Recording, corpus, missing, stitched
from benchmarks.speech_files import FLAC, encoded

AT_ONCE = (1, 2, 4)
CHAT_MODEL, CHAT = "fluid-tiny-ov", "Count from 1 to 1000."
CHAT_TOKENS = 1000
KEPT = 0.3  # seconds of silence around the speech of a window, as the server keeps
SEED = 41


class Speaker:
    """Sends one recording again and again."""

    def __init__(self, url: str, recording: Recording) -> None:
        self._client = httpx.Client(base_url=url, timeout=600)
        self._data = encoded(recording.samples, RATE, FLAC)
        self._words = sum(len(one.sentence.text.split()) for one in recording.spoken)

    def send(self) -> None:
        """One file, heard to its end."""
        fields = {"model": MODEL, "language": "en"}
        answer = self._client.post("/v1/audio/transcriptions", data=fields, files={"file": ("a.flac", self._data)})
        words = len(answer.raise_for_status().json()["text"].split())
        assert abs(words - self._words) < self._words / 4, f"{words} words of {self._words}"

    def seconds(self, files: int) -> float:
        """How long this many files at once take."""
        started = time.perf_counter()
        with ThreadPoolExecutor(files) as pool:
            for done in [pool.submit(self.send) for _ in range(files)]:
                done.result()
        return time.perf_counter() - started


def windows_of(recording: Recording, folder: Path) -> Path:
    """The sentences with a little silence around, as the server cuts them, in a file."""
    path, samples = folder / "windows.npz", recording.samples
    cut = [
        samples[round((start - KEPT) * RATE) : round((end + KEPT) * RATE)]
        for start, end in zip(recording.starts, recording.ends, strict=True)
    ]
    np.savez(path, *cut)
    return path


def alone_and_through(engine: Peer, speaker: Speaker, recording: Recording, repeats: int) -> dict[str, Any]:
    """Times real time (seconds of recording heard in a second): the engine, the server, the engine, …"""
    results = {}
    for files in AT_ONCE:
        alone, through = [], []
        for _ in range(repeats):
            alone.append(files * recording.seconds / engine.ask(str(files))["seconds"])
            through.append(files * recording.seconds / speaker.seconds(files))
        ratio = statistics.median(through) / statistics.median(alone)
        results[str(files)] = {"engine": spread(alone), "http": spread(through), "ratio": round(ratio, 3)}
    return results


def chat_rate(url: str, seconds: float) -> float:
    """Tokens a second of one chat after the other, for about this long."""
    started, tokens = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds:
        tokens += asyncio.run(chat(url, body(CHAT_MODEL, CHAT, CHAT_TOKENS))).tokens
    return tokens / took


def beside(speaker: Speaker, files: int, work: Callable[[], float]) -> tuple[float, int]:
    """What the work gives while this many files are heard all the time, and how many were heard to their end."""
    done, heard = threading.Event(), []

    def go_on() -> None:
        while not done.is_set():
            speaker.send()
            heard.append(1)

    with ThreadPoolExecutor(files) as pool:
        running = [pool.submit(go_on) for _ in range(files)]
        try:
            result = work()
        finally:
            done.set()
        for one in running:
            one.result()
    return result, len(heard)


def with_a_chat(url: str, speaker: Speaker, recording: Recording, repeats: int, lasting: float) -> dict[str, Any]:
    """Tokens a second of a chat with 0, 1 and 4 files beside it, and times real time of the files beside the chat."""
    rates: dict[int, list[float]] = {0: [], 1: [], 4: []}
    speeds: dict[int, list[float]] = {1: [], 4: []}
    chat_rate(url, 0.1)
    for _ in range(repeats):
        rates[0].append(chat_rate(url, lasting))
        for files, found in speeds.items():
            started = time.perf_counter()
            rate, heard = beside(speaker, files, lambda: chat_rate(url, lasting))
            rates[files].append(rate)
            found.append(heard * recording.seconds / (time.perf_counter() - started))
    return {
        "tokens_per_second": {str(files): spread(found) for files, found in rates.items()},
        "times_real_time": {str(files): spread(found) for files, found in speeds.items()},
    }


def show(results: dict[str, Any]) -> None:
    """Markdown."""
    windows, seconds = results["windows"], results["seconds"]
    print(f"a file: {windows} windows, {seconds:.0f} s; times real time, and windows a second in brackets\n")
    print("| files at once | engine alone | through HTTP | ratio |\n|---|---|---|---|")
    for files, row in results["loads"].items():
        cells = [f"{_cell(row[key])} [{row[key]['median'] * windows / seconds:.1f}]" for key in ("engine", "http")]
        print(f"| {files} | {cells[0]} | {cells[1]} | {row['ratio']:.2f} |")
    print("\n| files beside a chat | chat, tokens/s | files, times real time |\n|---|---|---|")
    beside = results["chat"]
    for files, rate in beside["tokens_per_second"].items():
        speed = beside["times_real_time"].get(files)
        print(f"| {files} | {_cell(rate)} | {_cell(speed) if speed else '-'} |")


def _cell(figures: dict[str, float]) -> str:
    return f"{figures['median']:.0f} ({figures['min']:.0f} to {figures['max']:.0f})"


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it, on one server."""
    recording = stitched(corpus(options.sentences, seed=SEED), seed=SEED)
    engine = Peer("whisper_alone.py", ROOT / "models" / "whisper" / MODEL, windows_of(recording, folder))
    server = Server("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning")
    try:
        speaker = Speaker(server.url, recording)
        speaker.send()
        return {
            "windows": len(recording.spoken),
            "seconds": recording.seconds,
            "loads": alone_and_through(engine, speaker, recording, options.repeats),
            "chat": with_a_chat(server.url, speaker, recording, options.repeats, options.chat),
        }
    finally:
        engine.stop()
        server.stop()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default: 5)")
    parser.add_argument("--sentences", type=int, default=30, help="in a file (default: 30)")
    parser.add_argument("--chat", type=float, default=10, help="seconds of each chat beside it (default: 10)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if lacking := missing():
        parser.error(f"install {', '.join(lacking)} first")
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options, Path(folder))
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
