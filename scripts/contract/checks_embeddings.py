"""What shows that texts became vectors. No meaning is looked for: vectors are held against each other."""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from scripts.contract.case import Check, Reply
from scripts.contract.checks import shown

SURELY = 1e-3  # by which a vector's length, or the same vector once more, may be off
ALIKE = 0.9999  # the cosine of the same text's vectors


def numbers(embedding: Any) -> list[float]:
    """A vector out of its JSON, be it numbers or base64. Errors: ValueError where it is neither."""
    if isinstance(embedding, str):
        data = b64decode(embedding, validate=True)
        if len(data) % 4:
            raise ValueError(f"{len(data)} bytes are no float32 numbers")
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    if not isinstance(embedding, list) or not all(isinstance(one, int | float) for one in embedding):
        raise ValueError(f"an embedding is {shown(embedding)}")
    return [float(one) for one in embedding]


def vectors(reply: Reply) -> list[list[float]]:
    """All vectors of an answer. Errors: ValueError where they are not in order."""
    data = reply.body.get("data") if isinstance(reply.body, dict) else None
    if not isinstance(data, list) or not data:
        raise ValueError("the answer has no data")
    places = [one.get("index") for one in data]
    if places != list(range(len(data))):
        raise ValueError(f"the indexes are {shown(places)}")
    return [numbers(one.get("embedding")) for one in data]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def embedded(count: int) -> Check:
    """So many vectors in order, of one size and the length 1, and their tokens counted."""

    def check(replies: Sequence[Reply]) -> str:
        try:
            found = vectors(replies[-1])
        except ValueError as error:
            return str(error)
        if len(found) != count:
            return f"{len(found)} vectors, not {count}"
        if len({len(one) for one in found}) != 1:
            return "they are not of one size"
        long = next((one for one in found if abs(math.hypot(*one) - 1) > SURELY), None)
        if long is not None:
            return f"a vector's length is {math.hypot(*long):.3f}"
        usage = replies[-1].body.get("usage") or {}
        used = usage.get("prompt_tokens")
        return "" if used and used == usage.get("total_tokens") else f"usage is {shown(usage)}"

    return check


def like_first(*places: int) -> Check:
    """Of the last answer's vectors those at these places are the first answer's first one, and no other is."""

    def check(replies: Sequence[Reply]) -> str:
        try:
            first, found = vectors(replies[0])[0], vectors(replies[-1])
            same = [place for place, one in enumerate(found) if _cosine(first, one) > ALIKE]
        except ValueError as error:
            return str(error)
        return "" if same == list(places) else f"the same vector is at {shown(same)}, not at {shown(list(places))}"

    return check


def cut_to(size: int) -> Check:
    """The last vector is the beginning of the first, made as long as 1 again."""

    def check(replies: Sequence[Reply]) -> str:
        try:
            first, (last,) = vectors(replies[0])[0], vectors(replies[-1])
        except ValueError as error:
            return str(error)
        if len(last) != size:
            return f"it has {len(last)} numbers, not {size}"
        length = math.hypot(*first[:size])
        off = max(abs(one / length - other) for one, other in zip(first[:size], last, strict=True))
        return "" if off < SURELY else f"it is off by {off:.3f}"

    return check


def in_base64(replies: Sequence[Reply]) -> str:
    """The last answer's vector is a text that holds the first one's numbers."""
    embedding = replies[-1].body["data"][0]["embedding"]
    return like_first(0)(replies) if isinstance(embedding, str) else f"it is {shown(embedding)}"
