"""How OpenVINO GenAI is made to generate: in batches where the device can, one at a time where it cannot."""

from __future__ import annotations

import math
import queue
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from fluid_server.errors import ContextTooLong, FluidError
from fluid_server.runtimes.base import arrived
from fluid_server.runtimes.openvino_shared import kv_cache_bytes, properties
from fluid_server.runtimes.text_plan import Plan, context_limit, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

BLOCK_TOKENS = 32  # tokens in one KV block on CPU; other devices use smaller ones, so this errs on the safe side
PREFILL_CHUNK = 256  # tokens of prompts in one step: a longer step would stall everybody who is generating
SMALLEST_SHARE = 1e-6  # a smaller top_p is 0 in the engine's single precision, and refused


@dataclass(slots=True)
class Output:
    """What a step brought one sequence: the ids that are text, and how many ids were generated."""

    sequence: int
    ids: list[int]
    count: int = 0
    finish: str | None = None
    error: FluidError | None = None


class Engine(ABC):
    """What the runtime asks of a pipeline, batching or not."""

    parallel: int
    context_length: int
    notes: tuple[str, ...] = ()
    leaving: int = 0

    @abstractmethod
    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None: ...

    @abstractmethod
    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None: ...

    @abstractmethod
    def step(self) -> list[Output]: ...

    @abstractmethod
    def release(self, sequence: int) -> None: ...


def prefix_caching_is_safe(options: RuntimeOptions) -> bool:
    """Only where one sequence runs at a time.

    OpenVINO GenAI 2026.4.1 hands a cached block that is filled in part to several running sequences at once and
    lets them all write into it: they then answer each other's questions. Measured: after a sequence that ends at
    the common beginning of 16 prompts, 15 of the 16 answers are another one's; without the cache, none.
    """
    return options.parallel == 1


class Batching(Engine):
    """ContinuousBatchingPipeline. A step that raises has poisoned it: the worker then ends."""

    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None:
        self._genai = genai
        self.parallel = options.parallel
        per_token = kv_cache_bytes(spec.kv_bytes_per_token, options.properties, options.device)
        self.context_length, tokens, note = kv_tokens(options, spec, per_token)
        self.notes = (note,) if note else ()
        scheduler = genai.SchedulerConfig()
        scheduler.enable_prefix_caching = prefix_caching_is_safe(options)
        scheduler.dynamic_split_fuse = True
        scheduler.max_num_batched_tokens = PREFILL_CHUNK
        if per_token is not None:
            # One block more for each sequence: the last block of one is never shared with another.
            scheduler.num_kv_blocks = math.ceil(tokens / BLOCK_TOKENS) + options.parallel
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(spec.path), scheduler, options.device, properties(options)
        )
        self._eos = end_tokens(self._pipeline.get_config())
        self._handles: dict[int, Any] = {}

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        config = generation_config(self._genai, plan)
        self._handles[sequence] = self._pipeline.add_request(sequence, _tensor(prompt), config)

    def step(self) -> list[Output]:
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        self.leaving = 0
        outputs = (self._read(sequence, handle) for sequence, handle in self._handles.items())
        return [output for output in outputs if output is not None]

    def release(self, sequence: int) -> None:
        """Blocks are freed by the next step; where nobody is left to need one, it is made here."""
        self._handles.pop(sequence).cancel()
        if self._handles:
            self.leaving += 1
        elif self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    def _read(self, sequence: int, handle: Any) -> Output | None:
        output = Output(sequence, [])
        while handle.can_read():  # read() with nothing queued would block for ever with the GIL held
            for part in handle.read().values():
                output.ids += part.generated_ids
                output.finish = _finish(self._genai, part.finish_reason) or output.finish
        output.count = len(output.ids)
        if output.finish is None and handle.get_status() == self._genai.GenerationStatus.IGNORED:
            output.error = _cache_full()
        elif output.finish == "stop" and output.ids and output.ids[-1] in self._eos:
            output.ids.pop()  # it was generated and is counted, but it is no text
        return output if output.count or output.finish or output.error else None


def _cache_full() -> FluidError:
    return ContextTooLong(
        "The KV cache is full: this request does not fit into it. Shorten the prompt, lower max_tokens, or start "
        "the server with more --max-memory.",
        param="messages",
    )


def engine_for(device: str) -> type[Engine]:
    """The NPU knows no paged attention: one request at a time there, batches everywhere else."""
    return Stateful if device.startswith("NPU") else Batching


Items = queue.SimpleQueue[Output | BaseException]


class Stateful(Engine):
    """LLMPipeline for the NPU: one request at a time, its tokens handed over by a streamer."""

    parallel = 1

    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None:
        self._genai = genai
        self.context_length = context_limit(options, spec)
        self.notes = ("the stateful pipeline answers one request at a time on this device",)
        chosen = properties(options)
        if options.device.startswith("NPU"):
            chosen.setdefault("MAX_PROMPT_LEN", self.context_length)
        self._pipeline = genai.LLMPipeline(str(spec.path), options.device, **chosen)
        self._items: Items = queue.SimpleQueue()
        self._eos = end_tokens(self._pipeline.get_generation_config())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        self._stop = stop = threading.Event()
        items: Items = queue.SimpleQueue()
        self._items = items
        eos = set() if plan.ignore_eos else self._eos
        streamer = _streamer(self._genai, sequence, items, stop, eos)
        arguments = (
            sequence,
            _tensor(prompt),
            generation_config(self._genai, plan),
            streamer,
            items,
            plan.max_tokens,
        )
        self._thread = threading.Thread(target=self._generate, args=arguments, daemon=True)
        self._thread.start()

    def step(self) -> list[Output]:
        outputs = []
        for item in arrived(self._items):
            if isinstance(item, BaseException):
                raise item
            outputs.append(item)
        return outputs

    def release(self, sequence: int) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _generate(self, sequence: int, tokens: Any, config: Any, streamer: Any, items: Items, limit: int) -> None:
        try:
            result = self._pipeline.generate(tokens, config, streamer)
        except RuntimeError as error:
            items.put(error)
            return
        ended = set(result.tokens[0][-1:]) & self._eos and not config.ignore_eos
        items.put(Output(sequence, [], finish="length" if len(result.tokens[0]) >= limit and not ended else "stop"))


def _streamer(genai: Any, sequence: int, items: Items, stop: threading.Event, eos: set[int]) -> Any:
    class Streamer(genai.StreamerBase):  # type: ignore[misc]
        def write(self, token: int | list[int]) -> Any:
            ids = [token] if isinstance(token, int) else list(token)
            items.put(Output(sequence, [one for one in ids if one not in eos], len(ids)))
            return genai.StreamingStatus.CANCEL if stop.is_set() else genai.StreamingStatus.RUNNING

        def end(self) -> None:
            return

    return Streamer()


def _tensor(prompt: list[int]) -> Any:
    import numpy as np
    import openvino

    return openvino.Tensor(np.array([prompt], dtype=np.int64))


def end_tokens(config: Any) -> set[int]:
    """The ids that end a generation, from the model's own configuration."""
    return set(config.stop_token_ids) | {config.eos_token_id}


def generation_config(genai: Any, plan: Plan) -> Any:
    """OpenVINO's configuration for one sequence. Greedy at temperature 0; penalties apply either way."""
    sampling = plan.sampling
    config = genai.GenerationConfig()
    config.max_new_tokens = plan.max_tokens
    config.ignore_eos = plan.ignore_eos
    config.repetition_penalty = sampling.repetition_penalty
    config.presence_penalty = sampling.presence_penalty
    config.frequency_penalty = sampling.frequency_penalty
    config.do_sample = bool(sampling.temperature)
    if config.do_sample:
        config.temperature = sampling.temperature
        config.top_p = max(sampling.top_p or 0.0, SMALLEST_SHARE)
        config.rng_seed = sampling.seed
        if sampling.top_k:
            config.top_k = sampling.top_k
        if sampling.min_p:
            config.min_p = sampling.min_p
    return config


def _finish(genai: Any, reason: Any) -> str | None:
    if reason == genai.GenerationFinishReason.LENGTH:
        return "length"
    return "stop" if reason == genai.GenerationFinishReason.STOP else None
