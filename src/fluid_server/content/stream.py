"""Tokens become text as they come: complete characters only, and nothing of a stop string."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fluid_server.errors import InvalidRequest

_INCOMPLETE = "\ufffd"  # what a decoder writes for bytes that are no (or not yet a) character
_MAX_HELD = 8  # tokens; a character has at most four bytes, so more than this is garbage
_MAX_WINDOW = 16  # tokens; decoding this many costs about 1.5 µs


class DecodesTokens(Protocol):
    """The one method of ``tokenizers.Tokenizer`` that streaming needs."""

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        """The text of these tokens."""
        ...


class TokenDecoder:
    """Streaming detokenisation of one choice: the pieces joined are what decoding all tokens at once gives.

    A token's text may depend on its neighbours (a first word loses its leading space, a character's bytes are
    spread over tokens), so a short window of tokens already emitted is decoded again together with each new
    one, and the difference is emitted. Special tokens (eos) are skipped; added ones like <think> stay.
    Exact but for bytes that are no text where a decoder judges a run of bytes as a whole (SentencePiece's).

    ``alone`` knows the text of tokens that no neighbour changes unless it has begun a character, and is None for
    others: that saves decoding them again for each answer, which is most of the work.
    """

    def __init__(self, tokenizer: DecodesTokens, alone: Callable[[int], str | None] = lambda token: None) -> None:
        self._tokenizer = tokenizer
        self._alone = alone
        self._settled = True  # no character has begun that is not complete
        self._ids: list[int] = []
        self._emitted = ""  # how much of the text of _ids is out
        self._group = 0  # where in _ids the tokens after the last emission begin
        self._held = 0  # how many tokens in a row ended in an incomplete character

    def feed(self, ids: Sequence[int]) -> str:
        """The text that these further tokens complete."""
        if len(ids) == 1:
            return self._step(ids[0])
        return "".join([self._step(token) for token in ids])

    def flush(self) -> str:
        """What is left at the end, without a last character that is incomplete.

        That comes from max_tokens cutting a character in two; nobody can read half of one, and it would reach
        the client as a replacement character that the model never wrote.
        """
        rest = self._decode()[len(self._emitted) :].rstrip(_INCOMPLETE)
        self._emitted += rest
        return rest

    def _step(self, token: int) -> str:
        if self._settled and (known := self._alone(token)) is not None:
            if self._ids:
                self._ids, self._emitted, self._group = [], "", 0
            return known
        self._ids.append(token)
        text = self._decode()
        unfinished = text.endswith(_INCOMPLETE)
        self._settled = not unfinished
        self._held = self._held + 1 if unfinished else 0
        if unfinished and self._held < _MAX_HELD:
            return ""
        self._held = 0
        end = len(text) - unfinished  # the last character alone may still be completed
        piece = text[len(self._emitted) : end]
        if piece:
            self._advance(text[:end], unfinished)
        elif len(self._ids) - self._group > _MAX_HELD or (not unfinished and self._is_special(token)):
            self._ids.pop()  # it adds no text, and an endless run of its kind must not grow
        return piece

    def _advance(self, emitted: str, unfinished: bool) -> None:
        if len(self._ids) > _MAX_WINDOW:
            del self._ids[: self._group]
            text = self._decode()
            emitted = text[: len(text) - unfinished]
        self._emitted = emitted
        self._group = len(self._ids)

    def _is_special(self, token: int) -> bool:
        """Asked of a token without text: a leading space that was taken off has none either way, eos has."""
        return self._tokenizer.decode([token], skip_special_tokens=False) != ""

    def _decode(self) -> str:
        return self._tokenizer.decode(self._ids, skip_special_tokens=True)


class StopScanner:
    """Holds back what may be the beginning of a stop string, and ends the text where one is complete.

    The stop string that is complete first wins, so a model is never asked for more text to decide; of those
    complete at the same character the longest does. How the text was cut into pieces makes no difference.
    Works in one pass over the text (Aho and Corasick's automaton), whatever the number of stop strings.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise InvalidRequest("A stop string must not be empty.", param="stop")
        self.stopped = False
        self._nodes = _automaton(stops) if stops else []
        self._node = 0
        self._held = ""

    def feed(self, text: str) -> str:
        """What is safe to emit now: nothing any more once ``stopped`` is True."""
        if self.stopped:
            return ""
        if not self._nodes:
            return text
        buffered = self._held + text
        for position, character in enumerate(text, start=len(self._held) + 1):
            node = self._nodes[self._follow(character)]
            if node.stop_length:
                self.stopped, self._held = True, ""
                return buffered[: position - node.stop_length]
        safe = len(buffered) - self._nodes[self._node].depth
        self._held = buffered[safe:]
        return buffered[:safe]

    def flush(self) -> str:
        """What was held back, now that no more text comes."""
        held, self._held, self._node = self._held, "", 0
        return held

    def _follow(self, character: str) -> int:
        self._node = _next(self._nodes, self._node, character)
        return self._node


@dataclass(slots=True)
class _Node:
    """A beginning of some stop string: ``depth`` characters, the longest such that the text now ends in."""

    depth: int
    stop_length: int = 0  # of the longest stop string that the text ends in here
    fallback: int = 0  # the next shorter beginning that the text ends in too
    children: dict[str, int] = field(default_factory=dict)


def _next(nodes: Sequence[_Node], index: int, character: str) -> int:
    while (child := nodes[index].children.get(character)) is None and index:
        index = nodes[index].fallback
    return child or 0


def _automaton(stops: Sequence[str]) -> list[_Node]:
    nodes = [_Node(depth=0)]
    for stop in stops:
        _add(nodes, stop)
    queue = deque(nodes[0].children.values())
    while queue:
        parent = nodes[queue.popleft()]
        for character, index in parent.children.items():
            child = nodes[index]
            child.fallback = _next(nodes, parent.fallback, character)
            child.stop_length = child.stop_length or nodes[child.fallback].stop_length
            queue.append(index)
    return nodes


def _add(nodes: list[_Node], stop: str) -> None:
    index = 0
    for character in stop:
        children = nodes[index].children
        if character not in children:
            children[character] = len(nodes)
            nodes.append(_Node(depth=nodes[index].depth + 1))
        index = children[character]
    nodes[index].stop_length = len(stop)
