"""x"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.contract.case import Case
from scripts.contract.scoring import Result


def report(results: Sequence[Result], cases: Sequence[Case]) -> str:
    return ""
