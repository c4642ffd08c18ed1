"""Dialects whose reasoning stands between two marks."""

from __future__ import annotations

import copy
from typing import Self

from fluid_server.content.dialects.base import Dialect


class MarkedDialect(Dialect):
    """Reasoning between ``opening`` and ``closing``, whatever the template says those are."""

    opening = "<think>"
    closing = "</think>"

    def thinking_between(self, opening: str, closing: str) -> Self:
        """The same family with other marks around its reasoning; empty for none."""
        other = copy.copy(self)
        other.opening, other.closing = opening, closing
        other.marks = self.marks - {self.opening, self.closing} | ({opening, closing} - {""})
        return other
