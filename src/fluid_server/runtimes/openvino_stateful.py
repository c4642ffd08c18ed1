"""Stateful: OpenVINO GenAI's LLMPipeline for the NPU, which knows no paged attention: one request at a time."""

from __future__ import annotations

import queue
import threading
from typing import Any

from fluid_server.errors import FluidError, UnsupportedField
from fluid_server.runtimes.base import arrived
from fluid_server.runtimes.openvino_engines import (
    Engine,
    Output,
    end_tokens,
    generation_config,
    refuse_what_no_pipeline_has,
    tensor,
)
from fluid_server.runtimes.openvino_shared import properties
from fluid_server.runtimes.openvino_validator import GrammarCompiler
from fluid_server.runtimes.text_plan import Plan, context_limit
from fluid_server.types import ModelSpec, RuntimeOptions

Items = queue.SimpleQueue[Output | BaseException]


class Stateful(Engine):
    """Its tokens are handed over by a streamer, which gets nothing else: there are no log probabilities."""

    parallel = 1

    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None:
        self._genai = genai
        self.context_length = context_limit(options, spec)
        self.notes = ("the stateful pipeline answers one request at a time on this device",)
        chosen = properties(options)
        if options.device.startswith("NPU"):
            chosen.setdefault("MAX_PROMPT_LEN", self.context_length)
        self._pipeline = genai.LLMPipeline(str(spec.path), options.device, **chosen)
        self._grammars = GrammarCompiler(genai, self.tokenizer, spec.path / "openvino_model.xml")
        self._items: Items = queue.SimpleQueue()
        self._eos = end_tokens(self._pipeline.get_generation_config())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def tokenizer(self) -> Any:
        """The pipeline's own, whose grammar compiler it shares."""
        return self._pipeline.get_tokenizer()

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        refuse_what_no_pipeline_has(plan)
        if plan.logprobs is not None:
            raise UnsupportedField("'logprobs' is not supported by OpenVINO on this device.", param="logprobs")
        self._stop = stop = threading.Event()
        items: Items = queue.SimpleQueue()
        self._items = items
        eos = set() if plan.ignore_eos else self._eos
        streamer = _streamer(self._genai, sequence, items, stop, eos)
        config = generation_config(self._genai, plan)
        grammar = None if plan.shape is None else self._grammars.compile(plan.shape)

        def generate() -> None:
            try:
                if grammar is not None:
                    config.structured_output_config = grammar.result()
                result = self._pipeline.generate(tensor(prompt), config, streamer)
            except FluidError as error:
                items.put(Output(sequence, error=error))
            except RuntimeError as error:
                items.put(error)
            else:
                items.put(self._end(sequence, list(result.tokens[0]), plan))

        self._thread = threading.Thread(target=generate, daemon=True)
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

    def close(self) -> None:
        self._grammars.close()

    def _end(self, sequence: int, ids: list[int], plan: Plan) -> Output:
        ended = bool(set(ids[-1:]) & self._eos) and not plan.ignore_eos
        return Output(sequence, finish="length" if len(ids) >= plan.max_tokens and not ended else "stop")


def _streamer(genai: Any, sequence: int, items: Items, stop: threading.Event, eos: set[int]) -> Any:
    class Streamer(genai.StreamerBase):  # type: ignore[misc]
        def write(self, token: int | list[int]) -> Any:
            ids = [token] if isinstance(token, int) else list(token)
            items.put(Output(sequence, [one for one in ids if one not in eos], len(ids)))
            return genai.StreamingStatus.CANCEL if stop.is_set() else genai.StreamingStatus.RUNNING

        def end(self) -> None:
            return

    return Streamer()
