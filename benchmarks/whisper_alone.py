"""WhisperPipeline alone, without any code of ours: the peer that `speech_speed.py` measures against.

A process of its own, as a worker is. The model's folder and a file of windows (.npz, each mono float32 at 16 kHz) are
its arguments. Reads a number of files from stdin, recognises all windows as often, one after the other, and answers
each line with one JSON object: windows, seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fluid_server.runtimes.base import spare_threads

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as our workers have it


def load(folder: Path) -> Any:
    """The pipeline, with the properties that our runtime gives it where bf16 is out of the question."""
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None
    import openvino_genai as genai

    count = spare_threads()
    hint = {"INFERENCE_PRECISION_HINT": "f32"} if count == 1 else {}
    return genai.WhisperPipeline(str(folder), "CPU", INFERENCE_NUM_THREADS=str(count), **hint)


def main() -> None:
    """Load, then serve stdin."""
    pipeline = load(Path(sys.argv[1]))
    with np.load(sys.argv[2]) as file:
        windows = [file[name] for name in file.files]
    settings = {"return_timestamps": True, "language": "<|en|>", "task": "transcribe"}
    pipeline.generate(windows[0], **settings)
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            for window in windows:
                pipeline.generate(window, **settings)
        seconds = time.perf_counter() - started
        print(json.dumps({"windows": int(line) * len(windows), "seconds": seconds}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
