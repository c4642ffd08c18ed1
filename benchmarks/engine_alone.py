"""The engine alone, without any code of ours in its loop: the peer that the server is measured against.

A process of its own, as a worker is:  engine_alone.py ENGINE MODEL THREADS PLACES CONTEXT
Each line of stdin is a JSON object: ``prompts`` (texts, all run at once) and ``tokens`` (exactly that many of each,
greedily). Each is answered by one: ``tokens`` in all, ``seconds``, ``first`` (seconds to each stream's first token),
``prompt_tokens`` and ``memory`` (bytes resident).

What is equal on both sides: threads, places, context, scheduler and batch sizes, precision, prompts, greedy choice.
What each does with a token: OpenVINO's pipeline and the loop over llama.cpp's C interface give ids, of which no text is
made; xllamacpp's core makes text, and JSON of it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as our workers have it


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server's worker has too."""

    model: Path
    threads: int
    places: int
    context: int


@dataclass(slots=True)
class Ran:
    """What came of some prompts."""

    prompt_tokens: int = 0
    tokens: int = 0
    first: list[float] = field(default_factory=list)


Run = Callable[[Sequence[str], int], Ran]


def openvino(settings: Settings) -> Run:
    """ContinuousBatchingPipeline with the scheduler, threads and precision that our runtime gives it."""
    from fluid_server.runtimes.openvino_batching import BLOCK_TOKENS, PREFILL_CHUNK
    from fluid_server.runtimes.openvino_shared import import_genai, properties
    from fluid_server.types import RuntimeOptions

    genai = import_genai()
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.dynamic_split_fuse = True
    scheduler.max_num_batched_tokens = PREFILL_CHUNK
    scheduler.num_kv_blocks = settings.places * (settings.context // BLOCK_TOKENS + 2)
    options = RuntimeOptions(threads=settings.threads)
    pipeline = genai.ContinuousBatchingPipeline(str(settings.model), scheduler, "CPU", properties(options))
    tokenizer = pipeline.get_tokenizer()
    numbers = iter(range(1, 1_000_000_000))

    def run(prompts: Sequence[str], tokens: int) -> Ran:
        ran = Ran()
        started = time.perf_counter()
        config = genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        handles = []
        for prompt in prompts:
            ids = tokenizer.encode(prompt).input_ids
            ran.prompt_tokens += ids.shape[1]
            handles.append(pipeline.add_request(next(numbers), ids, config))
        silent = set(range(len(handles)))
        while pipeline.has_non_finished_requests():
            pipeline.step()
            for number, handle in enumerate(handles):
                while handle.can_read():
                    ran.tokens += sum(len(part.generated_ids) for part in handle.read().values())
                    if number in silent:
                        silent.discard(number)
                        ran.first.append(time.perf_counter() - started)
        return ran

    return run


def prebuilt(settings: Settings) -> Run:
    """xllamacpp's server core with the parameters that our driver uses, one thread a stream."""
    from fluid_server.runtimes.llamacpp_prebuilt import CPU_BATCH

    xllamacpp: Any = import_module("xllamacpp")
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(settings.model)
    chosen.n_ctx, chosen.n_parallel, chosen.kv_unified = settings.context * settings.places, settings.places, True
    chosen.fit_params = chosen.warmup = False
    chosen.cache_ram_mib, chosen.verbosity, chosen.n_gpu_layers = 0, -1, 0
    chosen.n_batch = chosen.n_ubatch = CPU_BATCH
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = settings.threads
    server = xllamacpp.Server(chosen)

    def one(prompt: str, tokens: int, started: float, ran: Ran, lock: threading.Lock) -> None:
        body = {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "stream": True}
        body["cache_prompt"] = False  # else it goes on from the three tokens that all chats begin with: 8 of 55 ms
        seen: list[Any] = []
        first = [0.0]

        def on_chunk(chunk: bytes) -> bool:
            if not seen:
                first[0] = time.perf_counter() - started
            seen[:] = [chunk]
            return False

        server.handle_completions(json.dumps(body).encode(), on_chunk)
        usage = json.loads(seen[0])["usage"]
        with lock:
            ran.first.append(first[0])
            ran.tokens += usage["completion_tokens"]
            ran.prompt_tokens += usage["prompt_tokens"]

    def run(prompts: Sequence[str], tokens: int) -> Ran:
        ran, lock, started = Ran(), threading.Lock(), time.perf_counter()
        running = [threading.Thread(target=one, args=(prompt, tokens, started, ran, lock)) for prompt in prompts]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return ran

    return run


def native(settings: Settings) -> Run:
    """A loop over llama.cpp's C interface; see engine_alone_native.py."""
    from benchmarks.engine_alone_native import Loop

    loop = Loop(settings.model, settings.threads, settings.places, settings.context)

    def run(prompts: Sequence[str], tokens: int) -> Ran:
        started = time.perf_counter()
        prompt_tokens, count, first = loop.run(prompts, tokens)
        return Ran(prompt_tokens, count, [when - started for when in first])

    return run


ENGINES = {"openvino": openvino, "prebuilt": prebuilt, "native": native}


def main() -> None:
    """Load the engine, then serve stdin."""
    import psutil

    engine, model, *numbers = sys.argv[1:]
    run = ENGINES[engine](Settings(Path(model), *map(int, numbers)))
    run(["Hello"], 8)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        ran = run(asked["prompts"], asked["tokens"])
        seconds = time.perf_counter() - started
        told = {
            "tokens": ran.tokens,
            "seconds": seconds,
            "first": ran.first,
            "prompt_tokens": ran.prompt_tokens,
            "memory": psutil.Process().memory_info().rss,
        }
        print(json.dumps(told), flush=True)
    os._exit(0)  # the engines' threads need no end


if __name__ == "__main__":
    main()
