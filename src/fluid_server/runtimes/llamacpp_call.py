"""One sequence's talk with llama.cpp's server core: its grammar is proven, its chunks come, what is missing is asked.

Runs in a thread of its own, since the core's calls block.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.llamacpp_grammar import HEADER, obeyed, to_lark
from fluid_server.runtimes.llamacpp_logprobs import Chunk, Recovery, parsed
from fluid_server.runtimes.llamacpp_refusals import refusal
from fluid_server.runtimes.llamacpp_request import distribution_body, probe_body, request_body
from fluid_server.runtimes.text_plan import Plan
from fluid_server.shapes import Shape

MOST_PROVEN = 500  # grammars that are remembered


class Core:
    """llama.cpp's server core, asked in JSON. Any number of threads."""

    def __init__(self, server: Any, vocabulary_size: int, context_length: int) -> None:
        self._server = server
        self.vocabulary_size = vocabulary_size
        self.context_length = context_length
        self.proven: set[str] = set()

    def stream(self, body: Mapping[str, Any], on_chunk: Callable[[bytes], bool]) -> None:
        """All chunks of an answer, until ``on_chunk`` is True or it ends. Errors: EngineFailed."""
        try:
            last = self._server.handle_completions(json.dumps(body).encode(), on_chunk)
        except (RuntimeError, ValueError) as failure:
            raise EngineFailed(f"llama.cpp failed: {plain_reason(failure)}") from failure
        if last:
            on_chunk(last)

    def ask(self, body: Mapping[str, Any]) -> Chunk:
        """An answer in one piece. Errors: as llama.cpp tells them."""
        payloads: list[bytes] = []

        def keep(payload: bytes) -> bool:
            payloads.append(payload)
            return False

        self.stream(body, keep)
        answer = parsed(payloads[-1])
        if "error" in answer.data:
            raise translated(answer.data["error"])
        return answer


@dataclass(slots=True)
class Call:
    """One sequence. ``on_chunk`` takes what comes and says whether it is to end."""

    core: Core
    prompt: list[int]
    plan: Plan
    grammar: str | None
    slot: int
    on_chunk: Callable[[Chunk], bool]

    def run(self) -> None:
        """From the first token to the last. Errors: any FluidError."""
        cached = self._prove()
        body = request_body(self.prompt, self.plan, self.core.context_length, self.grammar, self.slot)
        recovery = self._recovery()

        def on_payload(payload: bytes) -> bool:
            chunk: Chunk | None = parsed(payload)
            assert chunk is not None
            if cached is not None and "timings" in chunk.data:
                chunk.data["timings"]["cache_n"] = cached
            if recovery is not None and "error" not in chunk.data:
                chunk = recovery.watch(chunk)
            return chunk is not None and self.on_chunk(chunk)

        self.core.stream(body, on_payload)
        for chunk in recovery.settle() if recovery is not None else ():
            if self.on_chunk(chunk):
                return

    def _prove(self) -> int | None:
        """See that a Lark grammar is understood; how much of the prompt was cached before that, if it had to be asked.

        Errors: InvalidRequest that says which part of the shape is not.
        """
        grammar, proven = self.grammar, self.core.proven
        if grammar is None or grammar in proven or not grammar.startswith(HEADER):
            return None
        answer = self.core.ask(probe_body(self.prompt, grammar, self.slot))
        if not obeyed(answer.text):
            assert self.plan.shape is not None
            raise refusal(self.plan.shape, self._compiles)
        if len(proven) >= MOST_PROVEN:
            proven.clear()
        proven.add(grammar)
        return int(answer.data["timings"]["cache_n"])

    def _compiles(self, shape: Shape) -> bool:
        lark = to_lark(shape, lambda text: [text])
        return obeyed(self.core.ask(probe_body(self.prompt, lark, self.slot)).text)

    def _recovery(self) -> Recovery | None:
        if self.plan.logprobs is None:
            return None

        def ask(ids: list[int], likeliest: int) -> Mapping[str, Any]:
            entry = self.core.ask(distribution_body(ids, likeliest, self.slot)).entry
            if entry is None:
                raise EngineFailed("llama.cpp gave no log probabilities.")
            return entry

        return Recovery(self.prompt, self.plan.logprobs, ask, self.core.vocabulary_size)


def translated(error: Mapping[str, Any]) -> FluidError:
    """A failure of llama.cpp's in our words."""
    kind, message = error.get("type"), str(error.get("message", "no reason given"))
    if kind == "exceed_context_size_error":
        return ContextTooLong(f"The KV cache is full: {message}", param="messages")
    if "failed to parse grammar" in message:
        return InvalidRequest(
            "The grammar is not supported by llama.cpp: it may be left-recursive or too large.", param="response_format"
        )
    if kind == "invalid_request_error":
        return InvalidRequest(f"llama.cpp refused the request: {message}", param="prompt")
    return EngineFailed(f"llama.cpp failed: {message}")
