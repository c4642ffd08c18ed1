"""Embeddings: texts that are to become vectors, and the vectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Texts to be embedded, each as text or as token ids that are taken as they stand.

    ``dimensions``: only so many of a vector's numbers are kept, the first ones; None is all of them. The answer is one
    Embedded for each input, in any order, then Done.
    """

    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of the input at ``index``: float32 numbers, little-endian, of the length 1 together."""

    index: int
    vector: bytes
