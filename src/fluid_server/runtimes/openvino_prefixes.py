"""When a new sequence may be handed to OpenVINO GenAI's prefix cache, and what it certainly finds there.

What its block manager does (2026.4.1, `restore_cached_blocks` and `allocate`), and what it means for us:

1. A new prompt takes over whole blocks that are known by the hash of all tokens up to their end, and then one block
   that is filled in part, by the hash of the tokens in it. A block that is filled in part is known by what was last
   appended to it, and by what it was found under until something is appended. Whoever takes it over while another
   sequence writes into it shares it, and both write: they then answer each other's questions.
2. A block of a long prompt is known by its hash as soon as it is allotted, which may be steps before all of it has
   been computed. Whoever takes it over then, or after its sequence was cancelled, reads what nobody has written.

So a sequence is young until it has generated two tokens: then all of its prompt is computed, and its last block is
known by all of its tokens. A prompt waits while it could share a block with a young sequence, and while it begins with
everything that a running one has said. What a young sequence is given is not taken away from it. Measured with a cache
that is on and no such waiting: of 16 prompts with a common beginning 15 got another one's answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GROWN = 2  # generated tokens: with the second, the engine has appended the first
MOST_SHORT = 4096  # prompts that are remembered for being shorter than a block


@dataclass(slots=True)
class _Running:
    prompt: int
    tokens: list[int]
    certain: int
    since: int

    @property
    def young(self) -> bool:
        return len(self.tokens) < self.prompt + GROWN


class PrefixGuard:
    """The tokens of all running sequences.

    ``block``: tokens in one block, or fewer. ``blocks``: how many the cache has; None where it grows. ``chunk``: the
    most tokens that one step computes.
    """

    def __init__(self, block: int, blocks: int | None, chunk: int) -> None:
        self._block = block
        self._chunk = chunk
        self._running: dict[int, _Running] = {}
        self._short: set[tuple[int, ...]] = set()
        self._certain = _Certain(block, blocks)
        self._steps = 0

    def may_start(self, prompt: Sequence[int]) -> bool:
        """Whether this prompt can share no block with a sequence that still writes into it."""
        return not any(self._could_mix(run, prompt) for run in self._running.values())

    def start(self, sequence: int, prompt: Sequence[int]) -> None:
        """Take a sequence in."""
        self._running[sequence] = _Running(len(prompt), list(prompt), self._certain.reused(prompt), self._steps)
        if len(prompt) < self._block and len(self._short) <= MOST_SHORT:
            self._short.add(tuple(prompt))

    def step(self) -> None:
        """The engine is about to compute its next chunk."""
        self._steps += 1

    def cached(self, sequence: int) -> int:
        """How many tokens of a prompt, all of which has been computed just now, were certainly not computed again.

        The engine does not tell. What it cannot have computed in the steps it took, it had; and until blocks had to
        be given away, it had all that was ever computed. It may have had more.
        """
        run = self._running[sequence]
        return max(run.certain, run.prompt - (self._steps - run.since) * self._chunk)

    def grow(self, sequence: int, ids: Sequence[int]) -> None:
        """These were generated."""
        self._running[sequence].tokens += ids

    def is_young(self, sequence: int) -> bool:
        """Whether blocks may be known by tokens that have not been computed."""
        return self._running[sequence].young

    def end(self, sequence: int) -> None:
        """The engine has let go of it. Its last token was never computed."""
        run = self._running.pop(sequence)
        self._certain.computed(run.tokens[:-1] if len(run.tokens) > run.prompt else [])

    def _could_mix(self, run: _Running, prompt: Sequence[int]) -> bool:
        common = _common(run.tokens, prompt)
        if common == 0:
            return False
        if run.young:
            return common >= self._block or self._known_within(prompt[:common])
        return common >= len(run.tokens) - GROWN

    def _known_within(self, beginning: Sequence[int]) -> bool:
        """Whether a part of a block may be known by tokens that both begin with: then a short prompt was those."""
        if len(self._short) > MOST_SHORT:
            return True
        return any(tuple(beginning[:length]) in self._short for length in range(1, len(beginning) + 1))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """With how many tokens both begin."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])


class _Certain:
    """What is in the cache for sure: everything, until as many blocks were allotted as there are."""

    def __init__(self, block: int, blocks: int | None) -> None:
        self._block = block
        self._left = blocks or 0
        self._known: set[int] = set()

    def reused(self, prompt: Sequence[int]) -> int:
        count = 0
        for key in self._keys(prompt):
            if key not in self._known:
                break
            count += self._block
        return min(count, len(prompt) - 1)  # the last token is always computed

    def computed(self, tokens: Sequence[int]) -> None:
        fresh = [key for key in self._keys(tokens) if key not in self._known]
        self._left -= len(fresh) + 2  # the last block, and one that was copied
        if self._left < 0:
            self._known.clear()
        else:
            self._known.update(fresh)

    def _keys(self, tokens: Sequence[int]) -> list[int]:
        keys, key = [], 0
        for start in range(0, len(tokens) - self._block + 1, self._block):
            key = hash((key, *tokens[start : start + self._block]))
            keys.append(key)
        return keys
