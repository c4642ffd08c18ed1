"""What an engine is told about one sequence, what it brings back, and how sampling and memory are settled."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fluid_server.errors import ContextTooLong, FluidError
from fluid_server.runtimes.base import COLDEST
from fluid_server.shapes import Shape
from fluid_server.types import ModelSpec, RuntimeOptions, Sampling, TokenLogprob

T = TypeVar("T")
MAX_SEED = 2**31 - 1
SMALLEST_SHARE = 1e-6  # a smaller top_p is 0 in engines' single precision; only the likeliest token is left either way
UNKNOWN_CONTEXT = 4096  # tokens, for a model that does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an engine is told about one sequence. Sampling is complete here: no field of it is None.

    ``logprobs`` is None, or how many alternatives to each token are wanted. ``marks`` are the texts of tokens that
    must be left in the text even where the vocabulary calls them special. An engine that cannot honour one of
    ``logprobs``, ``logit_bias`` and ``shape`` raises UnsupportedField with the field's name in the API.
    """

    max_tokens: int
    sampling: Sampling
    ignore_eos: bool = False
    logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    shape: Shape | None = None
    marks: frozenset[str] = frozenset()


@dataclass(slots=True)
class Piece:
    """What one step brought one sequence. ``finish`` is "stop", "length" or None; ``error`` ends the request.

    With log probabilities the texts of ``logprobs`` joined are the beginning of ``text``, or all of it.
    """

    sequence: int
    text: str = ""
    tokens: int = 0
    finish: str | None = None
    cached_tokens: int = 0
    error: FluidError | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


def room(context_length: int | None, prompt_tokens: int, param: str) -> int:
    if context_length is None:
        return MAX_SEED
    room = context_length - prompt_tokens
    if room < 1:
        raise ContextTooLong(
            f"This model's context holds {context_length} tokens, and the {param} alone take {prompt_tokens}. "
            "Shorten them.",
            param=param,
        )
    return room


def for_choice(plan: Plan, choice: int) -> Plan:
    """Each choice draws its own numbers: the seed counts on from the request's."""
    seed = ((plan.sampling.seed or 0) + choice) % MAX_SEED
    return replace(plan, sampling=replace(plan.sampling, seed=seed))


def complete(asked: Sampling, defaults: Sampling) -> Sampling:
    """What was asked, then the model's own defaults, then OpenAI's; without a seed, a random one.

    A request that sets a temperature does not inherit a model's greedy default, only its top_k and the like. A
    temperature that is next to nothing is greedy: engines divide by it in single precision.
    """
    temperature = _first(asked.temperature, defaults.temperature, 1.0)
    seed = asked.seed if asked.seed is not None else secrets.randbelow(MAX_SEED)
    return Sampling(
        temperature=temperature if temperature >= COLDEST else 0.0,
        top_p=max(_first(asked.top_p, defaults.top_p, 1.0), SMALLEST_SHARE),
        top_k=_first(asked.top_k, defaults.top_k, 0),
        min_p=_first(asked.min_p, defaults.min_p, 0.0),
        repetition_penalty=_first(asked.repetition_penalty, defaults.repetition_penalty, 1.0),
        presence_penalty=_first(asked.presence_penalty, defaults.presence_penalty, 0.0),
        frequency_penalty=_first(asked.frequency_penalty, defaults.frequency_penalty, 0.0),
        seed=seed % MAX_SEED,
    )


def _first(*values: T | None) -> T:
    return next(value for value in values if value is not None)


def context_limit(options: RuntimeOptions, spec: ModelSpec) -> int:
    """Tokens that a prompt and its answer may have together: the model's own limit or the configured one."""
    return min(filter(None, (options.context_length, spec.context_length)), default=UNKNOWN_CONTEXT)


def kv_tokens(options: RuntimeOptions, spec: ModelSpec, bytes_per_token: int | None) -> tuple[int, int, str]:
    """How the KV cache is cut: (context length, tokens that it holds in all, a note where it shrank).

    The context is the model's own or the configured one, shortened to what the budget holds; the whole cache
    has room for ``parallel`` full contexts unless the budget says less, since few requests use all of theirs.
    """
    context = context_limit(options, spec)
    if bytes_per_token is None or options.kv_budget_bytes is None:
        return context, context * options.parallel, ""
    affordable = max(256, options.kv_budget_bytes // bytes_per_token)
    note = ""
    if affordable < context:
        note = f"context shortened from {context} to {affordable} tokens: its KV cache would not fit into memory"
        context = affordable
    return context, min(context * options.parallel, affordable), note
