"""Gives every model an id of its own, and the further names that nobody else claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fluid_server.types import ModelSpec


@dataclass(frozen=True, slots=True)
class Placed:
    """A model and the folders above it; ``category`` if the nearest only sorts models by kind."""

    spec: ModelSpec
    parents: tuple[str, ...] = ()
    category: bool = False

    def names(self) -> tuple[str, ...]:
        """The id that the model would like, then ones that are ever longer."""
        above, name = "/".join(self.parents), self.spec.id
        nearest = "/".join((*self.parents[-1:], name))
        return name, nearest, f"{above}/{name}".lstrip("/"), f"{above}/{self.spec.path.name}".lstrip("/")

    def further(self) -> set[str]:
        """The names that it would like to answer to, ``owner/repo`` among them."""
        bare = {self.spec.id, *self.spec.aliases}
        if not self.parents or self.category:
            return bare
        return bare | {f"{self.parents[-1]}/{name}" for name in bare}


def name_apart(placed: Iterable[Placed]) -> tuple[ModelSpec, ...]:
    """The models with unique ids, sorted. Those that would share one are qualified by their folders."""
    models = list(placed)
    ids = _unique_ids(models)
    claims = Counter(name for model in models for name in model.further())
    taken = set(ids)
    named = []
    for model, name in zip(models, ids, strict=True):
        aliases = (alias for alias in model.further() if claims[alias] == 1 and alias not in taken)
        named.append(replace(model.spec, id=name, aliases=tuple(sorted(aliases))))
    return tuple(sorted(named, key=lambda spec: spec.id))


def _unique_ids(models: list[Placed]) -> list[str]:
    """Lengthen the names of all who share one, until nobody does or no name can grow."""
    lengths = [0] * len(models)
    while True:
        ids = [model.names()[length] for model, length in zip(models, lengths, strict=True)]
        counts = Counter(ids)
        longer = [min(length + (counts[name] > 1), 3) for length, name in zip(lengths, ids, strict=True)]
        if longer == lengths:
            return ids
        lengths = longer
