"""What every way to generate with OpenVINO GenAI has in common; the ways are openvino_batching and _stateful."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fluid_server.errors import FluidError, UnsupportedField
from fluid_server.runtimes.text_plan import Plan
from fluid_server.types import ModelSpec, RuntimeOptions


@dataclass(slots=True)
class Output:
    """What a step brought one sequence: the ids that are text, and how many ids were generated.

    ``logprobs`` are those of ``ids``, where they were asked for. ``cached``: tokens of the prompt not computed again.
    """

    sequence: int
    ids: list[int] = field(default_factory=list)
    count: int = 0
    finish: str | None = None
    error: FluidError | None = None
    logprobs: list[float] = field(default_factory=list)
    cached: int = 0


class Engine(ABC):
    """What the runtime asks of a pipeline, batching or not."""

    parallel: int
    context_length: int
    notes: tuple[str, ...] = ()
    steady = False
    """Whether a step computes, and does not wait for what computes."""

    @abstractmethod
    def __init__(self, genai: Any, spec: ModelSpec, options: RuntimeOptions) -> None: ...

    @property
    @abstractmethod
    def tokenizer(self) -> Any:
        """OpenVINO's own tokenizer of the model."""

    @property
    def leaving(self) -> int:
        """Sequences that were released and that the engine has not let go of yet."""
        return 0

    @abstractmethod
    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None: ...

    @abstractmethod
    def step(self) -> list[Output]: ...

    @abstractmethod
    def release(self, sequence: int) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def bytes_of(self, token: int) -> bytes:
        """What a token adds to the text; a character's bytes may be spread over several tokens."""
        return self._bytes.get(token, b"")

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        vocabulary: dict[bytes, int] = self.tokenizer.get_vocab()
        return {token: data for data, token in vocabulary.items()}


def refuse_what_no_pipeline_has(plan: Plan) -> None:
    """Errors: UnsupportedField for what OpenVINO GenAI has no way to do."""
    if plan.logit_bias:
        raise UnsupportedField("'logit_bias' is not supported by the OpenVINO runtime.", param="logit_bias")
    if plan.logprobs:
        raise UnsupportedField(
            "'top_logprobs' is not supported by the OpenVINO runtime, which tells the chosen token's probability "
            "alone. Ask for 0 of them.",
            param="top_logprobs",
        )
    if plan.shape is not None and plan.ignore_eos:
        raise UnsupportedField(
            "'ignore_eos' is not supported beside a format or tools that are enforced: their grammar says where the "
            "answer ends.",
            param="ignore_eos",
        )


def tensor(prompt: list[int]) -> Any:
    """Token ids as the pipelines take them."""
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
    config.logprobs = 0 if plan.logprobs is None else 1
    config.do_sample = bool(sampling.temperature)
    if config.do_sample:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.rng_seed = sampling.seed
        if sampling.top_k:
            config.top_k = sampling.top_k
        if sampling.min_p:
            config.min_p = sampling.min_p
    return config
