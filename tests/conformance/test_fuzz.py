"""Drawn requests against our own description, for a while: scripts/fuzz_api.py goes on for as long as one likes."""

from __future__ import annotations

import pytest

from scripts import fuzz_api


def test_some_seconds_of_drawn_requests_find_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    code = fuzz_api.main(["--seconds", "20", "--seed", "7"])
    told = capfd.readouterr().out
    assert code == 0, told
    assert "/chat/completions 200" in told
