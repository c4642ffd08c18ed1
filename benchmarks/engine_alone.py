"""The engine alone, without any code of ours: the peer that `serving.py` measures against.

A process of its own, as a worker is. Reads ``streams tokens`` lines from stdin, runs that many greedy sequences
of exactly that many tokens at once, and answers each line with one JSON object: tokens, seconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as our workers have it
PARALLEL = 16
PROMPT = "<|im_start|>user\nCount from 1 to 1000.<|im_end|>\n<|im_start|>assistant\n"
CONTEXT = 2048


def threads() -> int:
    """As many as our runtimes take."""
    import psutil

    return max(1, (psutil.cpu_count(logical=False) or 2) - 1)


def openvino(folder: Path) -> Callable[[int, int], int]:
    """ContinuousBatchingPipeline with the scheduler that our runtime uses."""
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = False  # unsafe with several sequences: see openvino_engines.py
    scheduler.max_num_batched_tokens = 256
    scheduler.num_kv_blocks = PARALLEL * (CONTEXT // 32 + 1)
    pipeline = genai.ContinuousBatchingPipeline(
        str(folder), scheduler, "CPU", {"INFERENCE_NUM_THREADS": str(threads())}
    )
    prompt = pipeline.get_tokenizer().encode(PROMPT).input_ids
    numbers = iter(range(1, 1_000_000_000))

    def run(streams: int, tokens: int) -> int:
        config = genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        handles = [pipeline.add_request(next(numbers), prompt, config) for _ in range(streams)]
        count = 0
        while pipeline.has_non_finished_requests():
            pipeline.step()
            for handle in handles:
                while handle.can_read():
                    count += sum(len(part.generated_ids) for part in handle.read().values())
        return count

    return run


def llamacpp(file: Path) -> Callable[[int, int], int]:
    """xllamacpp's server core with the parameters that our driver uses, one thread a stream."""
    xllamacpp: Any = import_module("xllamacpp")
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(file)
    chosen.n_ctx, chosen.n_parallel, chosen.kv_unified = CONTEXT * PARALLEL, PARALLEL, True
    chosen.fit_params = chosen.warmup = False
    chosen.cache_ram_mib, chosen.verbosity = 0, -1
    chosen.n_batch = chosen.n_ubatch = 256
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = threads()
    server = xllamacpp.Server(chosen)

    def one(tokens: int, counts: list[int]) -> None:
        body = {"prompt": PROMPT, "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "stream": True}
        last: list[Any] = []

        def on_chunk(chunk: bytes) -> bool:
            last[:] = [chunk]
            return False

        server.handle_completions(json.dumps(body).encode(), on_chunk)
        counts.append(json.loads(last[0])["usage"]["completion_tokens"])

    def run(streams: int, tokens: int) -> int:
        counts: list[int] = []
        running = [threading.Thread(target=one, args=(tokens, counts)) for _ in range(streams)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return sum(counts)

    return run


def main() -> None:
    """Load the engine named first on the model named second, then serve stdin."""
    engine = {"openvino": openvino, "llamacpp": llamacpp}[sys.argv[1]]
    run = engine(Path(sys.argv[2]))
    run(1, 8)
    print("ready", flush=True)
    for line in sys.stdin:
        streams, tokens = map(int, line.split())
        started = time.perf_counter()
        count = run(streams, tokens)
        print(json.dumps({"tokens": count, "seconds": time.perf_counter() - started}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
