"""Batching: OpenVINO GenAI's ContinuousBatchingPipeline, in which all running sequences share each step."""

from __future__ import annotations

import math
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
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
from fluid_server.runtimes.openvino_shared import kv_cache_bytes, properties
from fluid_server.runtimes.openvino_validator import PATIENCE, GrammarCompiler
from fluid_server.runtimes.text_plan import Plan, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

BLOCK_TOKENS = 32  # tokens in one KV block on CPU; other devices use smaller ones, so this errs on the safe side
PREFILL_CHUNK = 256  # tokens of prompts in one step: a longer step would stall everybody who is generating


def prefix_caching_is_safe(options: RuntimeOptions) -> bool:
    """Only where one sequence runs at a time.

    OpenVINO GenAI 2026.4.1 hands a cached block that is filled in part to several running sequences at once and
    lets them all write into it: they then answer each other's questions. Measured: after a sequence that ends at
    the common beginning of 16 prompts, 15 of the 16 answers are another one's; without the cache, none.
    """
    return options.parallel == 1


@dataclass(slots=True)
class _Waiting:
    """A sequence whose grammar is being compiled."""

    prompt: list[int]
    config: Any
    grammar: Future[Any]
    deadline: float


class Batching(Engine):
    """A step that raises has poisoned the pipeline: the worker then ends. So what could fail is tried before."""

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
        self._grammars = GrammarCompiler(genai, self.tokenizer, spec.path / "openvino_model.xml")
        self._eos = end_tokens(self._pipeline.get_config())
        self._handles: dict[int, Any] = {}
        self._with_logprobs: set[int] = set()
        self._waiting: dict[int, _Waiting] = {}

    @property
    def tokenizer(self) -> Any:
        """The pipeline's own, whose grammar compiler it shares."""
        return self._pipeline.get_tokenizer()

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        refuse_what_no_pipeline_has(plan)
        config = generation_config(self._genai, plan)
        if plan.logprobs is not None:
            self._with_logprobs.add(sequence)
        if plan.shape is None:
            self._submit(sequence, prompt, config)
            return
        grammar = self._grammars.compile(plan.shape)
        self._waiting[sequence] = _Waiting(prompt, config, grammar, time.monotonic() + PATIENCE)

    def step(self) -> list[Output]:
        outputs = self._submit_compiled() if self._waiting else []
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        self.leaving = 0
        read = (self._read(sequence, handle) for sequence, handle in self._handles.items())
        return outputs + [output for output in read if output is not None]

    def release(self, sequence: int) -> None:
        """Blocks are freed by the next step; where nobody is left to need one, it is made here."""
        self._with_logprobs.discard(sequence)
        if self._waiting.pop(sequence, None) is not None or sequence not in self._handles:
            return
        self._handles.pop(sequence).cancel()
        if self._handles:
            self.leaving += 1
        elif self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    # --- grammars ----------------------------------------------------------------------------------------

    def _submit_compiled(self) -> list[Output]:
        """Sequences whose grammar is ready go on; what came of the others' is told."""
        if not self._handles:
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
            self._submit(sequence, one.prompt, one.config)
        except FluidError as error:
            return error
        except (RuntimeError, ValueError, OverflowError) as error:
            return EngineFailed(f"OpenVINO refused the request: {plain_reason(error)}")
        del self._waiting[sequence]
        return None

    def _submit(self, sequence: int, prompt: list[int], config: Any) -> None:
        self._handles[sequence] = self._pipeline.add_request(sequence, tensor(prompt), config)

    # --- what a step brought -----------------------------------------------------------------------------

    def _read(self, sequence: int, handle: Any) -> Output | None:
        output = Output(sequence)
        while handle.can_read():  # read() with nothing queued would block for ever with the GIL held
            for part in handle.read().values():
                output.ids += part.generated_ids
                output.logprobs += part.generated_log_probs
                output.finish = _finish(self._genai, part.finish_reason) or output.finish
        output.count = len(output.ids)
        if output.finish is None and handle.get_status() == self._genai.GenerationStatus.IGNORED:
            output.error = _cache_full()
        elif output.finish == "stop" and output.ids and output.ids[-1] in self._eos:
            output.ids.pop()  # it was generated and is counted, but it is no text
        output.logprobs = output.logprobs[: len(output.ids)] if sequence in self._with_logprobs else []
        return output if output.count or output.finish or output.error else None


def _too_slow(one: _Waiting) -> FluidError:
    if one.grammar.running():
        return InvalidRequest(
            f"The grammar of the answer was not compiled within {PATIENCE:.0f} seconds. Simplify it.",
            param=SHAPE_PARAM,
        )
    one.grammar.cancel()
    return EngineFailed("Another request's grammar takes too long to compile. Try again later.")


def _cache_full() -> FluidError:
    return ContextTooLong(
        "The KV cache is full: this request does not fit into it. Shorten the prompt, lower max_tokens, or start "
        "the server with more --max-memory.",
        param="messages",
    )


def _finish(genai: Any, reason: Any) -> str | None:
    if reason == genai.GenerationFinishReason.LENGTH:
        return "length"
    return "stop" if reason == genai.GenerationFinishReason.STOP else None
