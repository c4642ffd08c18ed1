"""What one sequence asks of llama.cpp's raw completions, field by field. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fluid_server.runtimes.llamacpp_depth import check_depth
from fluid_server.runtimes.llamacpp_grammar import Split, probe, to_lark
from fluid_server.runtimes.text_plan import Plan
from fluid_server.shapes import Shape


def request_body(prompt: list[int], plan: Plan, context_length: int, grammar: str | None, slot: int) -> dict[str, Any]:
    """One raw completion; every sampler is set or switched off, so that no default of llama.cpp's slips in."""
    sampling = plan.sampling
    body = {
        "prompt": prompt,
        "id_slot": slot,
        "stream": True,
        "timings_per_token": True,
        "cache_prompt": True,
        "max_tokens": plan.max_tokens,
        "n_predict": plan.max_tokens,
        # A grammar that has come to its end allows the end token alone: without it llama.cpp gives the grammar up.
        "ignore_eos": plan.ignore_eos and grammar is None,
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
        "preserved_tokens": sorted(plan.marks),
        "logit_bias": [[token, bias] for token, bias in sorted(biases(prompt, plan).items())],
    }
    if plan.logprobs is not None:
        body["n_probs"] = max(1, plan.logprobs)
    if grammar is not None:
        body["grammar"] = grammar
    return body


def biases(prompt: Sequence[int], plan: Plan) -> dict[int, float]:
    """What is added to the logits: what was asked, and what makes up for penalties on the prompt.

    OpenAI's penalties count what was generated, llama.cpp's the prompt too. Frequency is made up for exactly;
    presence as long as a token of the prompt has not been generated, after which it should count and does not.
    """
    found = {token: float(bias) for token, bias in plan.logit_bias.items()}
    presence, frequency = plan.sampling.presence_penalty or 0.0, plan.sampling.frequency_penalty or 0.0
    if presence or frequency:
        for token, count in Counter(prompt).items():
            found[token] = found.get(token, 0.0) + presence + frequency * count
    return found


def grammar_of(shape: Shape | None, split: Split) -> str | None:
    """The grammar of a shape, in Lark. Errors: InvalidRequest.

    llama.cpp's own reader of GBNF is never asked: some grammars stop it, and with it the model, for ever.
    """
    if shape is None:
        return None
    lark = to_lark(shape, split)
    check_depth(lark)
    return lark


def probe_body(prompt: list[int], grammar: str, slot: int) -> dict[str, Any]:
    """Two tokens that tell whether a Lark grammar was understood. The prompt is the answer's: it stays cached."""
    return _question(prompt, 2, slot) | {"grammar": probe(grammar)}


def distribution_body(prompt: list[int], likeliest: int, slot: int) -> dict[str, Any]:
    """One token with the likeliest at its place. It is forced to be plain text: of others nothing is told."""
    return _question(prompt, 1, slot) | {"n_probs": likeliest, "grammar": 'root ::= "zqx"'}


def _question(prompt: list[int], tokens: int, slot: int) -> dict[str, Any]:
    """A short greedy completion that is answered in one piece."""
    return {
        "prompt": prompt,
        "id_slot": slot,
        "stream": False,
        "cache_prompt": True,
        "max_tokens": tokens,
        "n_predict": tokens,
        "temperature": 0.0,
        "seed": 0,
    }
