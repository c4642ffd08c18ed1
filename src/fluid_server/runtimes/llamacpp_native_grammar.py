"""Shapes on the native driver: llguidance from its own package, asked token by token."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

import numpy as np

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp_grammar import to_lark
from fluid_server.runtimes.llamacpp_native_library import Floats, Library
from fluid_server.runtimes.llamacpp_native_vocabulary import NativeVocabulary
from fluid_server.runtimes.llamacpp_refusals import refusal
from fluid_server.runtimes.llamacpp_request import grammar_of
from fluid_server.shapes import Shape

QUIET = 0
SPECIAL_MARK = b"\xff"  # how llguidance is told that a token is no text


class Grammars:
    """Makes matchers for one vocabulary."""

    def __init__(self, library: Library, vocabulary: NativeVocabulary) -> None:
        self._library = library
        self._vocabulary = vocabulary

    def matcher(self, shape: Shape) -> TokenMatcher:
        """Errors: InvalidRequest that says which part of the shape cannot be used."""
        lark = grammar_of(shape, self._vocabulary.split)
        assert lark is not None
        matcher = self._compiled(lark)
        if matcher.is_error():
            raise refusal(shape, self._compiles)
        return TokenMatcher(matcher, self._vocabulary)

    def _compiles(self, shape: Shape) -> bool:
        return not self._compiled(to_lark(shape, lambda text: [text])).is_error()

    def _compiled(self, lark: str) -> Any:
        from llguidance import LLMatcher

        return LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(lark), log_level=QUIET)

    @cached_property
    def _tokenizer(self) -> Any:
        """The vocabulary as llguidance takes it; a second or less for large ones, so only once it is needed."""
        import llguidance

        c, vocabulary = self._library.c, self._vocabulary
        kind: Any = llguidance.LLTokenizer  # its types do not know from_llamacpp
        return kind.from_llamacpp(
            tokens=[self._told(token) for token in range(vocabulary.size)],
            vocab_ptr=vocabulary.handle,
            tokenize_fptr=ctypes.cast(c._lib.llama_tokenize, ctypes.c_void_p).value,
            eos_token=sorted(vocabulary.ends),
            slices=None,
        )

    def _told(self, token: int) -> bytes:
        plain, whole = self._vocabulary.plain[token], self._vocabulary.whole[token]
        return whole if plain == whole else SPECIAL_MARK + whole


class TokenMatcher:
    """How far one sequence has come in its shape."""

    def __init__(self, matcher: Any, vocabulary: NativeVocabulary) -> None:
        self._matcher = matcher
        self._ends = vocabulary.ends
        self._mask = np.zeros((vocabulary.size + 31) // 32, np.int32)

    def admits(self, token: int) -> bool:
        """Whether the token may come next; if so, it counts as said."""
        if token in self._ends:
            return bool(self._matcher.is_accepting())
        return bool(self._matcher.try_consume_tokens([token]))

    def hide(self, logits: Floats) -> None:
        """Make everything impossible that may not come next. Errors: EngineFailed where llguidance has given up."""
        if self._matcher.is_error():
            raise EngineFailed("The answer's grammar became too complex. Send it again, or simplify the schema.")
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: len(logits)]
        logits[allowed == 0] = -np.inf
