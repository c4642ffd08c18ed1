"""What the machine says of itself."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from fluid_server.machine import cpu_name, linux_says_amx


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


def test_the_processor_s_name_is_read_from_the_same_file_or_asked_of_the_system(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: A Chip: 3 GHz\nmodel name\t: Another\n", encoding="utf-8")
    assert cpu_name(facts) == "A Chip: 3 GHz"
    assert cpu_name(tmp_path / "nowhere") == (platform.processor() or platform.machine())
