"""PrebuiltDriver: llama.cpp's server core from the xllamacpp wheel, used for raw completions of token ids.

Each running sequence is one blocking call in a thread; its callback hands chunks over and ends the call when the
sequence was released. A released sequence frees its slot with its next token: the core offers no way to stop a
prompt that is still being read.
"""

from __future__ import annotations

import queue
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from typing import Any

from fluid_server.errors import EngineFailed, FluidError
from fluid_server.runtimes.base import arrived, plain_reason, spare_threads
from fluid_server.runtimes.llamacpp_call import Call, Core, translated
from fluid_server.runtimes.llamacpp_listener import ListenerVocabulary
from fluid_server.runtimes.llamacpp_logprobs import Chunk, told
from fluid_server.runtimes.llamacpp_request import grammar_of
from fluid_server.runtimes.llamacpp_room import room_in_the_core
from fluid_server.runtimes.llamacpp_slots import Slots
from fluid_server.runtimes.text_plan import Piece, Plan, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions, TokenLogprob

CPU_BATCH = 256  # tokens of prompts in one step: with 2048, a running stream stood still for seconds
ALL_LAYERS = 999
MOST_STATES = 1 + 32  # of one conversation with recurrent layers: its last, and those that the core keeps on the way
ANY_SLOT = -1  # the core takes the one that begins most alike, and brings what it needs back from the shelf


@dataclass(frozen=True, slots=True)
class _Item:
    sequence: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class _End:
    sequence: int
    slot: int
    error: FluidError | None = None


@dataclass(slots=True)
class _Line:
    """A sequence under way: how many alternatives to each token it wants, and its tokens so far."""

    alternatives: int | None
    counted: int = 0


class PrebuiltDriver:
    """One model in llama.cpp's server core, with ``parallel`` slots over one unified KV cache.

    What has ended leaves it for ordinary memory when something else begins, where there is room: all rows of a step
    look through what lies there.
    """

    steady = False

    def __init__(self, spec: ModelSpec, options: RuntimeOptions) -> None:
        xllamacpp: Any = import_module("xllamacpp")
        self.engine = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        self.parallel = options.parallel
        self.context_length, cells, note = kv_tokens(options, spec, spec.kv_bytes_per_token)
        self.notes = (note,) if note else ()
        cells, self.reserve_bytes, shelf = room_in_the_core(
            options, spec.kv_bytes_per_token, self.context_length, cells, spec.state_bytes * MOST_STATES
        )
        key = secrets.token_urlsafe(24)
        try:
            server = xllamacpp.Server(parameters(xllamacpp, spec, options, cells, key, shelf))
        except RuntimeError as error:
            raise EngineFailed(f"llama.cpp could not load the model: {plain_reason(error)}") from error
        self._vocabulary = ListenerVocabulary(server.listening_address, key)
        self._core = Core(server, self._vocabulary.size, self.context_length)
        self._items: queue.SimpleQueue[_Item | _End] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="slot")
        self._slots = None if shelf else Slots(options.parallel)  # the core knows best where what has left goes
        self._lines: dict[int, _Line] = {}
        self._released: set[int] = set()

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids, by the core's own tokenizer."""
        return self._vocabulary.tokenize(text, special=special)

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, by the core's own tokenizer."""
        return self._vocabulary.detokenize(ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Send the sequence on its way in a thread of its own."""
        self._vocabulary.check(prompt, "prompt")
        self._vocabulary.check(plan.logit_bias, "logit_bias")
        grammar = grammar_of(plan.shape, self._vocabulary.split)
        slot = self._slots.take(prompt) if self._slots is not None else ANY_SLOT
        self._lines[sequence] = _Line(plan.logprobs)

        def on_chunk(chunk: Chunk) -> bool:
            self._items.put(_Item(sequence, chunk))
            return sequence in self._released

        call = Call(self._core, prompt, plan, grammar, slot, on_chunk)
        self._threads.submit(self._run, sequence, call)

    def advance(self) -> list[Piece]:
        """All chunks that have come, one piece a sequence."""
        pieces: dict[int, Piece] = {}
        for item in arrived(self._items):
            if isinstance(item, _End):
                self._finish(item, pieces)
            elif item.sequence in self._lines:
                self._merge(
                    item.chunk, self._lines[item.sequence], pieces.setdefault(item.sequence, Piece(item.sequence))
                )
        return list(pieces.values())

    def abandon(self, sequence: int) -> None:
        """Nothing: a prompt that the core reads cannot be stopped."""

    def release(self, sequence: int) -> None:
        """The next callback of a sequence that is still running ends it."""
        if self._lines.pop(sequence, None) is not None:
            self._released.add(sequence)

    @property
    def leaving(self) -> int:
        """Released sequences whose call has not returned."""
        return len(self._released)

    def close(self) -> None:
        """Wait for nothing: the process ends after this."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._vocabulary.close()

    def _run(self, sequence: int, call: Call) -> None:
        error: FluidError | None = None
        try:
            call.run()
        except FluidError as failure:
            error = failure
        finally:
            self._items.put(_End(sequence, call.slot, error))

    def _finish(self, end: _End, pieces: dict[int, Piece]) -> None:
        self._released.discard(end.sequence)
        if self._slots is not None:
            self._slots.free(end.slot)
        if self._lines.pop(end.sequence, None) is None:
            return
        piece = pieces.setdefault(end.sequence, Piece(end.sequence))
        if piece.finish is None and piece.error is None:
            piece.error = end.error or EngineFailed("llama.cpp ended the answer without a reason.")

    def _merge(self, chunk: Chunk, line: _Line, piece: Piece) -> None:
        if "error" in chunk.data:
            piece.error = translated(chunk.data["error"])
            return
        piece.text += chunk.text
        piece.finish = chunk.data["choices"][0]["finish_reason"]
        if line.alternatives is not None:
            piece.logprobs += self._logprobs(chunk, line.alternatives)
        if timings := chunk.data.get("timings"):
            piece.tokens += timings["predicted_n"] - line.counted
            line.counted = timings["predicted_n"]
            piece.cached_tokens = timings["cache_n"]

    def _logprobs(self, chunk: Chunk, alternatives: int) -> tuple[TokenLogprob, ...]:
        """What is known of a chunk's tokens. Those without text, as the end token, are no part of an answer."""
        own = [told(chunk.entry, alternatives)] if chunk.entry is not None and chunk.text else []
        return tuple(self._named(logprob) for logprob in [*chunk.missing, *own])

    def _named(self, logprob: TokenLogprob) -> TokenLogprob:
        """Alternatives that are special tokens come without their text."""
        top = tuple(one if one.data else replace(one, text=self._vocabulary.text(one.token)) for one in logprob.top)
        return replace(logprob, top=top)


def parameters(xllamacpp: Any, spec: ModelSpec, options: RuntimeOptions, cells: int, key: str, shelf: int = 0) -> Any:
    """What every model is loaded with; ``cells`` are the tokens of its cache, ``key`` is its listener's, ``shelf`` the
    MiB for conversations that have left the cache."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(spec.path)
    chosen.model_alias = {"model"}
    chosen.n_ctx = cells
    chosen.n_parallel = options.parallel
    chosen.kv_unified = True
    chosen.fit_params = False  # the cache was sized by us; fitting again takes up to a minute
    chosen.warmup = False
    # Its default of 8 GiB is memory that nobody budgeted for. With it, what idles leaves the KV cache when others run.
    chosen.cache_ram_mib = shelf
    chosen.api_keys = [key]
    chosen.verbosity = -1
    chosen.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(one.path), one.scale) for one in spec.adapters]
    threads = options.threads or spare_threads()
    chosen.cpuparams.n_threads = threads
    chosen.cpuparams_batch.n_threads = threads
    if options.device == "CPU":
        chosen.n_gpu_layers = 0
        chosen.n_batch = chosen.n_ubatch = CPU_BATCH
    else:
        chosen.n_gpu_layers = ALL_LAYERS
    return chosen


def devices() -> list[str]:
    """The devices that this build of llama.cpp can use: CPU, and GPU where it was built for one that is here."""
    xllamacpp: Any = import_module("xllamacpp")
    kinds = {str(device.get("type", "")).upper() for device in xllamacpp.get_device_info()}
    return ["CPU", *(["GPU"] if any("GPU" in kind for kind in kinds) else [])]
