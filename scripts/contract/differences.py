"""Where our two text runtimes do not end in the same class, and why that cannot be helped. Tests hold this list."""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCES: Mapping[str, str] = {}
