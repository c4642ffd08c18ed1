"""Batching: OpenVINO GenAI's ContinuousBatchingPipeline, in which all running sequences share each step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest, Unavailable
from fluid_server.runtimes.base import IDLE_WAIT, plain_reason
from fluid_server.runtimes.openvino_engines import (
    Engine,
    Output,
    end_tokens,
    generation_config,
    refuse_what_no_pipeline_has,
    tensor,
)
from fluid_server.runtimes.openvino_grammar import SHAPE_PARAM
from fluid_server.runtimes.openvino_prefixes import PrefixGuard
from fluid_server.runtimes.openvino_shared import kv_cache_bytes, properties
from fluid_server.runtimes.openvino_validator import PATIENCE, GrammarCompiler
from fluid_server.runtimes.text_plan import Plan, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

BLOCK_TOKENS = 32  # tokens in one KV block on CPU; other devices use smaller ones, so this errs on the safe side
SMALLEST_BLOCK = 16  # on other devices
PREFILL_CHUNK = 256  # tokens of prompts in one step: a longer step would stall everybody who is generating


@dataclass(slots=True)
class _Waiting:
    """A sequence whose grammar is being compiled."""

    prompt: list[int]
    config: Any
    grammar: Future[Any]
    deadline: float


@dataclass(slots=True)
class _Running:
    """A sequence in the pipeline: how many tokens it may still generate, and whether it has generated any."""

    handle: Any
    left: int
    logprobs: bool
    begun: bool = False


class Batching(Engine):
    """A step that raises has poisoned the pipeline: the worker then ends. So what could fail is tried before."""

    steady = True

    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None:
        self._genai = genai
        self.parallel = options.parallel
        per_token = kv_cache_bytes(spec.kv_bytes_per_token, options.properties, options.device)
        self.context_length, tokens, note = kv_tokens(options, spec, per_token)
        self.notes = (note,) if note else ()
        scheduler = genai.SchedulerConfig()
        # A sequence that the engine preempts would compute its prompt anew, in parts, unknown to the guard.
        fits = per_token is None or tokens >= self.context_length * options.parallel
        scheduler.enable_prefix_caching = fits or options.parallel == 1
        scheduler.dynamic_split_fuse = True
        scheduler.max_num_batched_tokens = PREFILL_CHUNK
        if per_token is not None:
            # One block more for each sequence: the last block of one is never shared with another.
            scheduler.num_kv_blocks = math.ceil(tokens / BLOCK_TOKENS) + 2 * options.parallel
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(spec.path), scheduler, options.device, properties(options)
        )
        self._grammars = GrammarCompiler(genai, self.tokenizer, spec.path / "openvino_model.xml")
        self._eos = end_tokens(self._pipeline.get_config())
        self._finishes = _finishes(genai)
        self._guard = _guard(scheduler, options.device) if scheduler.enable_prefix_caching else None
        self._running: dict[int, _Running] = {}
        self._held: dict[int, tuple[list[int], Any]] = {}
        self._abandoned: dict[int, Any] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._cancelled = 0

    @property
    def tokenizer(self) -> Any:
        """The pipeline's own, whose grammar compiler it shares."""
        return self._pipeline.get_tokenizer()

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        refuse_what_no_pipeline_has(plan)
        config = generation_config(self._genai, plan)
        if plan.shape is None:
            self._submit_in_turn(sequence, prompt, config)
            return
        grammar = self._grammars.compile(plan.shape)
        self._waiting[sequence] = _Waiting(prompt, config, grammar, time.monotonic() + PATIENCE)

    def step(self) -> list[Output]:
        outputs = self._submit_compiled() if self._waiting else []
        outputs += self._submit_held() if self._held else []
        if self._guard is not None:
            self._guard.step()
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        self._cancelled = 0
        for sequence, running in self._running.items():
            if (output := self._read(sequence, running)) is not None:
                outputs.append(output)
        if self._abandoned:
            self._let_go_of_abandoned()
        return outputs

    @property
    def leaving(self) -> int:
        """Sequences that were released and whose blocks the engine has not freed yet."""
        return self._cancelled + len(self._abandoned)

    def release(self, sequence: int) -> None:
        """Blocks are freed by the next step; where nobody is left to need one, it is made here.

        A sequence whose prompt is still being computed goes on to its end first: see openvino_prefixes.
        """
        self._waiting.pop(sequence, None)
        self._held.pop(sequence, None)
        if (running := self._running.pop(sequence, None)) is None:
            return
        handle = running.handle
        if self._guard is not None and self._guard.is_young(sequence) and not _has_ended(self._genai, handle):
            self._abandoned[sequence] = handle
        else:
            self._cancel(sequence, handle)

    def close(self) -> None:
        self._grammars.close()

    def _cancel(self, sequence: int, handle: Any) -> None:
        handle.cancel()
        if self._guard is not None:
            self._guard.end(sequence)
        if self._running or self._abandoned:
            self._cancelled += 1
        elif self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    # --- prefixes ----------------------------------------------------------------------------------------

    def _submit_in_turn(self, sequence: int, prompt: list[int], config: Any) -> None:
        if self._guard is not None and (self._held or not self._guard.may_start(prompt)):
            self._held[sequence] = prompt, config
        else:
            self._submit(sequence, prompt, config)

    def _submit_held(self) -> list[Output]:
        """Those that waited for another's prompt to be computed, as far as they may go on now."""
        outputs = []
        for sequence, (prompt, config) in list(self._held.items()):
            assert self._guard is not None
            if not self._guard.may_start(prompt):
                continue
            del self._held[sequence]
            try:
                self._submit(sequence, prompt, config)
            except (RuntimeError, ValueError, OverflowError) as error:
                failure = EngineFailed(f"OpenVINO refused the request: {plain_reason(error)}")
                outputs.append(Output(sequence, error=failure))
        return outputs

    def _submit(self, sequence: int, prompt: list[int], config: Any) -> None:
        handle = self._pipeline.add_request(sequence, tensor(prompt), config)
        self._running[sequence] = _Running(handle, config.max_new_tokens, bool(config.logprobs))
        if self._guard is not None:
            self._guard.start(sequence, prompt)

    def _let_go_of_abandoned(self) -> None:
        for sequence, handle in list(self._abandoned.items()):
            assert self._guard is not None
            self._guard.grow(sequence, [one for part in _parts(handle) for one in part.generated_ids])
            if not self._guard.is_young(sequence) or _has_ended(self._genai, handle):
                self._cancel(sequence, self._abandoned.pop(sequence))

    # --- grammars ----------------------------------------------------------------------------------------

    def _submit_compiled(self) -> list[Output]:
        """Sequences whose grammar is ready go on; what came of the others' is told."""
        if not self._running:
            wait([one.grammar for one in self._waiting.values()], IDLE_WAIT, FIRST_COMPLETED)
        outputs = []
        for sequence, one in list(self._waiting.items()):
            error = self._failure(sequence, one)
            if error is not None:
                del self._waiting[sequence]
                outputs.append(Output(sequence, error=error))
        return outputs

    def _failure(self, sequence: int, one: _Waiting) -> FluidError | None:
        """Submits what is ready. What went wrong, if anything did."""
        if not one.grammar.done():
            return _too_slow(one) if time.monotonic() > one.deadline else None
        try:
            one.config.structured_output_config = one.grammar.result()
            self._submit_in_turn(sequence, one.prompt, one.config)
        except FluidError as error:
            return error
        except (RuntimeError, ValueError, OverflowError) as error:
            return EngineFailed(f"OpenVINO refused the request: {plain_reason(error)}")
        del self._waiting[sequence]
        return None

    # --- what a step brought -----------------------------------------------------------------------------

    def _read(self, sequence: int, running: _Running) -> Output | None:
        """What a step brought. Each question to the engine costs a microsecond or two: few are asked in vain."""
        handle = running.handle
        ids: list[int] = []
        logprobs: list[float] = []
        parts = list(handle.read().values()) if handle.can_read() else []
        for part in parts:
            ids += part.generated_ids
            if running.logprobs:
                logprobs += part.generated_log_probs
        if not ids:
            return self._silent(sequence, handle)
        output = Output(sequence, ids, len(ids), logprobs=logprobs)
        if self._guard is not None:
            self._guard.grow(sequence, ids)
            if not running.begun:
                output.cached = self._guard.cached(sequence)
        running.begun = True
        running.left -= output.count
        if running.left <= 0 or ids[-1] in self._eos:
            self._finish(output, parts[-1].finish_reason)
        return output

    def _finish(self, output: Output, reason: Any) -> None:
        output.finish = self._finishes.get(int(reason))
        if output.finish == "stop" and output.ids[-1] in self._eos:
            output.ids.pop()  # it was generated and is counted, but it is no text
            del output.logprobs[len(output.ids) :]

    def _silent(self, sequence: int, handle: Any) -> Output | None:
        """Of one that a step brought nothing: its prompt is being computed, or there is no room for it."""
        status = handle.get_status()
        if status == self._genai.GenerationStatus.IGNORED:
            return Output(sequence, error=_cache_full())
        # one that has ended has told so with its last token; if not, it is over all the same
        return Output(sequence, finish="stop") if status != self._genai.GenerationStatus.RUNNING else None


def _guard(scheduler: Any, device: str) -> PrefixGuard:
    block = BLOCK_TOKENS if device == "CPU" else SMALLEST_BLOCK
    return PrefixGuard(block, scheduler.num_kv_blocks or None, PREFILL_CHUNK)


def _parts(handle: Any) -> Iterator[Any]:
    """All that waits to be read; read() with nothing queued would block for ever with the GIL held."""
    while handle.can_read():
        yield from handle.read().values()


def _has_ended(genai: Any, handle: Any) -> bool:
    return bool(handle.get_status() != genai.GenerationStatus.RUNNING)


def _too_slow(one: _Waiting) -> FluidError:
    if one.grammar.running():
        return InvalidRequest(
            f"The grammar of the answer was not compiled within {PATIENCE:.0f} seconds. Simplify it.",
            param=SHAPE_PARAM,
        )
    one.grammar.cancel()
    return Unavailable(
        "Another request's grammar takes long to compile. Try again later, or send this one without a format.",
        retry_after=PATIENCE,
    )


def _cache_full() -> FluidError:
    return ContextTooLong(
        "The KV cache is full: this request does not fit into it. Shorten the prompt, lower max_tokens, or start "
        "the server with more --max-memory.",
        param="messages",
    )


def _finishes(genai: Any) -> dict[int, str]:
    """OpenAI's names of why a generation has ended, by the engine's numbers."""
    reason = genai.GenerationFinishReason
    return {int(reason.LENGTH): "length", int(reason.STOP): "stop"}
