"""How long a model stays, as clients write it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fluid_server.api.schemas.keep_alive import seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (300, 300),
        (0, 0),
        (2.5, 2.5),
        (-1, math.inf),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        (" 10S ", 10),
        ("250ms", 0.25),
        ("1d", 86400),
        ("-1", math.inf),
        ("-5m", math.inf),
        (10**12, math.inf),
        (10**4000, math.inf),
        (None, None),
    ],
)
def test_seconds_and_durations(written: Any, meant: float | None) -> None:
    assert seconds(written) == meant


NEVER_ENDING = "1" * 10**6 + "x"  # a pattern that looks for durations in it would take minutes


@pytest.mark.parametrize(
    "written",
    ["", "soon", "5 minutes", "5m later", "m5", True, [], {}, float("nan"), NEVER_ENDING],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_duration_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="seconds, or as text"):
        seconds(written)
