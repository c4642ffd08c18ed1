"""Which slot of llama.cpp's a prompt goes to: where most of it is cached already, and least of others' is lost. Pure.

llama.cpp chooses by the share of the new prompt alone: a short prompt that begins like all do then takes the place of
a long conversation, whose next turn is computed anew. Where such a conversation goes to ordinary memory instead, its
choice is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Slot:
    number: int
    tokens: list[int] = field(default_factory=list)
    used: int = 0
    busy: bool = False


class Slots:
    """All slots of one model, and the prompt that each has read last."""

    def __init__(self, count: int) -> None:
        self._slots = [_Slot(number) for number in range(count)]
        self._turn = 0

    def take(self, prompt: list[int]) -> int:
        """The number of a free slot for this prompt; it is busy from now on. There must be one."""
        free = [slot for slot in self._slots if not slot.busy]
        slot = min(free, key=lambda one: self._cost(one, prompt))
        self._turn += 1
        slot.tokens, slot.used, slot.busy = prompt, self._turn, True
        return slot.number

    def free(self, number: int) -> None:
        """Nothing runs in the slot any more; what it has read stays cached."""
        self._slots[number].busy = False

    def _cost(self, slot: _Slot, prompt: list[int]) -> float:
        """Tokens that would have to be computed again, less likely so the longer they lie, less those that need not."""
        shared = common(slot.tokens, prompt)
        age = self._turn - slot.used + 1
        return (len(slot.tokens) - shared) / age - shared


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike. Slices are compared in C: some have a hundred thousand tokens."""
    length, beyond = 0, min(len(one), len(other)) + 1
    while beyond - length > 1:
        middle = (length + beyond) // 2
        if one[length:middle] == other[length:middle]:
            length = middle
        else:
            beyond = middle
    return length
