"""What the machine says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluid_server.machine import linux_says_amx


@pytest.mark.parametrize(
    ("flags", "has"),
    [("flags : fpu avx512_bf16 amx_bf16 amx_tile amx_int8", True), ("flags : fpu avx512_bf16 avx512_fp16", False)],
)
def test_amx_is_read_from_the_processors_flags(tmp_path: Path, flags: str, *, has: bool) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(flags, encoding="utf-8")
    assert linux_says_amx(facts) is has


def test_a_system_that_does_not_say_has_none_as_far_as_is_known(tmp_path: Path) -> None:
    assert not linux_says_amx(tmp_path / "nowhere")
