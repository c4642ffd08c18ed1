"""Does a text repeat itself? Speech models that have lost the thread say the same over and over."""

from __future__ import annotations

import zlib


def compression_ratio(text: str) -> float:
    """How much smaller zlib makes a text, as OpenAI's Whisper computes it: a measure of repetition."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))
