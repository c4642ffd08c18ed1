"""How one sequence draws its tokens: llama.cpp's own samplers, and llguidance's matcher where it has a shape."""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

import numpy as np

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp_native_library import Floats, Library
from fluid_server.runtimes.llamacpp_native_vocabulary import NativeVocabulary
from fluid_server.runtimes.text_plan import Plan

TOKEN = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
ONE = 1  # at least one candidate is always kept


class Matcher(Protocol):
    """What a sequence may say next."""

    def admits(self, token: int) -> bool:
        """Whether it may; if so, it counts as said."""

    def hide(self, logits: Floats) -> None:
        """Make everything impossible that may not come next. Errors: EngineFailed where it has given up."""


class Sampler:
    """One sequence's chain of samplers. Must be closed."""

    def __init__(self, library: Library, plan: Plan, prompt: list[int], vocabulary: NativeVocabulary) -> None:
        self._library = library
        self._size = vocabulary.size
        self._chain = library.c.llama_sampler_chain_init(library.c.llama_sampler_chain_default_params())
        biases = {token: float(bias) for token, bias in plan.logit_bias.items()}
        if plan.ignore_eos and plan.shape is None:  # a shape that has come to its end admits nothing but the end
            biases |= dict.fromkeys(vocabulary.ends, -np.inf)
        for sampler in [*self._adjusting(plan, prompt, biases), *self._drawing(plan)]:
            library.c.llama_sampler_chain_add(self._chain, sampler)

    def draw(self, context: Any, row: int, matcher: Matcher | None) -> int:
        """The next token after a row of the last step. Errors: EngineFailed."""
        if matcher is None:
            return int(self._library.sample(self._chain, context, row))
        logits = self._library.logits(context, row, self._size)
        token = self._pick(logits)
        if not matcher.admits(token):  # seldom: only then all that is possible has to be found out
            matcher.hide(logits)
            token = self._pick(logits)
            if not matcher.admits(token):
                raise EngineFailed("The grammar allows no token that this model has.")
        self._library.accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the chain and all in it."""
        if self._chain is not None:
            self._library.c.llama_sampler_free(self._chain)
            self._chain = None

    def _pick(self, logits: Floats) -> int:
        """What the chain makes of these logits, without its remembering it."""
        candidates: Any = np.empty(self._size, TOKEN)  # numpy's types know no records
        candidates["id"] = np.arange(self._size, dtype=np.int32)
        candidates["logit"] = logits
        candidates["p"] = 0
        c = self._library.c
        data = ctypes.cast(candidates.ctypes.data, ctypes.POINTER(c.llama_token_data))
        array = c.llama_token_data_array(data=data, size=self._size, selected=-1, sorted=False)
        self._library.apply(self._chain, ctypes.byref(array))
        if array.selected < 0:
            raise EngineFailed("llama.cpp found no token to draw.")
        return int(array.data[array.selected].id)

    def _adjusting(self, plan: Plan, prompt: list[int], biases: dict[int, float]) -> list[Any]:
        c, sampling = self._library.c, plan.sampling
        samplers: list[Any] = []
        if biases:
            array = (c.llama_logit_bias * len(biases))()
            for entry, (token, bias) in zip(array, biases.items(), strict=True):
                entry.token, entry.bias = token, bias
            samplers.append(c.llama_sampler_init_logit_bias(self._size, len(array), array))
        repetition = sampling.repetition_penalty or 1.0
        last = len(prompt) + plan.max_tokens  # all of them count
        if repetition != 1.0:  # counts the prompt too, as in Hugging Face's
            samplers.append(c.llama_sampler_init_penalties(self._size, last, repetition, 0.0, 0.0))
            for token in prompt:
                self._library.accept(samplers[-1], token)
        frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
        if frequency or presence:  # count what was generated alone, as OpenAI's
            samplers.append(c.llama_sampler_init_penalties(self._size, last, 1.0, frequency, presence))
        return samplers

    def _drawing(self, plan: Plan) -> list[Any]:
        c, sampling = self._library.c, plan.sampling
        if not sampling.temperature:
            return [c.llama_sampler_init_greedy()]
        samplers = []
        if sampling.top_k and sampling.top_k > 0:
            samplers.append(c.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p is not None and sampling.top_p < 1:
            samplers.append(c.llama_sampler_init_top_p(sampling.top_p, ONE))
        if sampling.min_p:
            samplers.append(c.llama_sampler_init_min_p(sampling.min_p, ONE))
        return [*samplers, c.llama_sampler_init_temp(sampling.temperature), c.llama_sampler_init_dist(sampling.seed)]
