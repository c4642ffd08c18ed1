"""What the names of GGUF files tell: which are parts of one model, and which belong to another."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fluid_server.catalog.ggml import preference

SUFFIX = ".gguf"
_SPLIT = re.compile(r"(.+)-(\d{5})-of-(\d{5})$")
_MAX_PARTS = 1000
_WHOLE = ("F16", "BF16", "F32")


def joined(names: Iterable[str]) -> dict[tuple[str, ...], str]:
    """The file names that make each model, every part that a split should have, and the model's stem."""
    models: dict[tuple[str, ...], str] = {}
    for name in sorted(names):
        if not name.lower().endswith(SUFFIX):
            continue
        stem, suffix = name[: -len(SUFFIX)], name[-len(SUFFIX) :]
        split = _SPLIT.match(stem)
        count = int(split.group(3)) if split else 0
        if split and 0 < count <= _MAX_PARTS:
            stem = split.group(1)
            parts = tuple(f"{stem}-{part:05}-of-{count:05}{suffix}" for part in range(1, count + 1))
            models[parts] = stem
        else:
            models[name,] = stem
    return models


def is_projector(stem: str) -> bool:
    """Whether a file of that name makes the models beside it see."""
    return stem.lower().startswith("mmproj") or "-mmproj" in stem.lower()


def projector_preference(quantization: str | None) -> int:
    """Which of several projectors to use, the lowest: the smallest that loses nothing, F16, comes first."""
    if quantization in _WHOLE:
        return _WHOLE.index(quantization)
    return len(_WHOLE) + preference(quantization)
