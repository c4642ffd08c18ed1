"""PrebuiltDriver: llama.cpp's server core from the xllamacpp wheel, used for raw completions of token ids.

Each running sequence is one blocking call in a thread; its callback hands chunks over and ends the call when the
sequence was released. A released sequence frees its slot with its next token: the core offers no way to stop a
prompt that is still being read.
"""

from __future__ import annotations

import http.client
import json
import queue
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import arrived, plain_reason, spare_threads
from fluid_server.runtimes.text_plan import Piece, Plan, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

CPU_BATCH = 256  # tokens of prompts in one step: with 2048, a running stream stood still for seconds
ALL_LAYERS = 999


@dataclass(frozen=True, slots=True)
class _Chunk:
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class _End:
    sequence: int
    error: FluidError | None = None


class PrebuiltDriver:
    """One model in llama.cpp's server core, with ``parallel`` slots over one unified KV cache."""

    def __init__(self, spec: ModelSpec, options: RuntimeOptions) -> None:
        xllamacpp: Any = import_module("xllamacpp")
        self.engine = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        self.parallel = options.parallel
        self.context_length, cells, note = kv_tokens(options, spec, spec.kv_bytes_per_token)
        self.notes = (note,) if note else ()
        key = secrets.token_urlsafe(24)
        try:
            self._server = xllamacpp.Server(_parameters(xllamacpp, spec, options, cells, key))
        except RuntimeError as error:
            raise EngineFailed(f"llama.cpp could not load the model: {plain_reason(error)}") from error
        self._listener = _Listener(self._server.listening_address, key)
        self._items: queue.SimpleQueue[_Chunk | _End] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="slot")
        self._counted: dict[int, int] = {}
        self._released: set[int] = set()

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids, by the core's own tokenizer."""
        return self._listener.tokenize(text, special=special)

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, by the core's own tokenizer."""
        return self._listener.detokenize(ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Send the sequence on its way in a thread of its own."""
        self._counted[sequence] = 0
        body = json.dumps(request_body(prompt, plan, self.context_length)).encode()
        self._threads.submit(self._run, sequence, body)

    def advance(self) -> list[Piece]:
        """All chunks that have come, one piece a sequence."""
        pieces: dict[int, Piece] = {}
        for item in arrived(self._items):
            if isinstance(item, _End):
                self._finish(item, pieces)
            elif item.sequence in self._counted:
                self._merge(item, pieces)
        return list(pieces.values())

    def release(self, sequence: int) -> None:
        """The next callback of a sequence that is still running ends it."""
        if self._counted.pop(sequence, None) is not None:
            self._released.add(sequence)

    @property
    def leaving(self) -> int:
        """Released sequences whose call has not returned."""
        return len(self._released)

    def close(self) -> None:
        """Wait for nothing: the process ends after this."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._listener.close()

    def _run(self, sequence: int, body: bytes) -> None:
        def on_chunk(payload: bytes) -> bool:
            self._items.put(_Chunk(sequence, payload))
            return sequence in self._released

        error: FluidError | None = None
        try:
            answer = self._server.handle_completions(body, on_chunk)
            if answer:
                self._items.put(_Chunk(sequence, answer))
        except (RuntimeError, ValueError) as failure:
            error = EngineFailed(f"llama.cpp failed: {plain_reason(failure)}")
        self._items.put(_End(sequence, error))

    def _finish(self, end: _End, pieces: dict[int, Piece]) -> None:
        self._released.discard(end.sequence)
        if self._counted.pop(end.sequence, None) is None:
            return
        piece = pieces.setdefault(end.sequence, Piece(end.sequence))
        if piece.finish is None and piece.error is None:
            piece.error = end.error or EngineFailed("llama.cpp ended the answer without a reason.")

    def _merge(self, chunk: _Chunk, pieces: dict[int, Piece]) -> None:
        piece = pieces.setdefault(chunk.sequence, Piece(chunk.sequence))
        data = json.loads(chunk.payload)
        if "error" in data:
            piece.error = _translated(data["error"])
            return
        choice, timings = data["choices"][0], data.get("timings")
        piece.text += choice["text"]
        piece.finish = choice["finish_reason"]
        if timings:
            total = timings["predicted_n"]
            piece.tokens += total - self._counted[chunk.sequence]
            self._counted[chunk.sequence] = total
            piece.cached_tokens = timings["cache_n"]


class _Listener:
    """The core's HTTP listener: loopback, a random port, a random key. Only asked to tokenize."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        data = self._ask("/tokenize", {"content": text, "add_special": special, "parse_special": True})
        return [int(token) for token in data["tokens"]]

    def detokenize(self, ids: list[int]) -> str:
        return str(self._ask("/detokenize", {"tokens": ids})["content"])

    def close(self) -> None:
        self._connection.close()

    def _ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(question)
        try:
            return self._post(path, body)
        except (OSError, http.client.HTTPException):
            self._connection.close()  # an idle connection was closed by the other side: once more, freshly
            return self._post(path, body)

    def _post(self, path: str, body: str) -> dict[str, Any]:
        self._connection.request("POST", path, body.encode(), self._headers)
        response = self._connection.getresponse()
        payload = response.read()
        if response.status != http.client.OK:
            raise EngineFailed(f"llama.cpp did not answer {path} (status {response.status}).")
        data: dict[str, Any] = json.loads(payload)
        return data


def request_body(prompt: list[int], plan: Plan, context_length: int) -> dict[str, Any]:
    """One raw completion; every sampler is set or switched off, so that no default of llama.cpp's slips in."""
    sampling = plan.sampling
    return {
        "prompt": prompt,
        "stream": True,
        "timings_per_token": True,
        "cache_prompt": True,
        "max_tokens": plan.max_tokens,
        "n_predict": plan.max_tokens,
        "ignore_eos": plan.ignore_eos,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "typical_p": 1.0,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": context_length,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
    }


def _translated(error: dict[str, Any]) -> FluidError:
    kind, message = error.get("type"), str(error.get("message", "no reason given"))
    if kind == "exceed_context_size_error":
        return ContextTooLong(f"The KV cache is full: {message}", param="messages")
    if kind == "invalid_request_error":
        return InvalidRequest(f"llama.cpp refused the request: {message}", param="prompt")
    return EngineFailed(f"llama.cpp failed: {message}")


def _parameters(xllamacpp: Any, spec: ModelSpec, options: RuntimeOptions, cells: int, key: str) -> Any:
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(spec.path)
    chosen.model_alias = {"model"}
    chosen.n_ctx = cells
    chosen.n_parallel = options.parallel
    chosen.kv_unified = True
    chosen.fit_params = False  # the cache was sized by us; fitting again takes up to a minute
    chosen.warmup = False
    chosen.cache_ram_mib = 0  # its default of 8 GiB is memory that nobody budgeted for
    chosen.api_keys = [key]
    chosen.verbosity = -1
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
