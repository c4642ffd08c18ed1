"""How much is measured: all of it, or the quick form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """``repeats`` of everything, ``quick`` where fewer and shorter loads are enough; ``tell`` says what comes now."""

    repeats: int
    quick: bool
    tell: Tell

    def rounds(self, what: str, count: int | None = None) -> Iterator[int]:
        """The numbers of the repeats; each is told."""
        count = count or self.repeats
        for number in range(count):
            self.tell(f"{what}, {number + 1} of {count}")
            yield number
