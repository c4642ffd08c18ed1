"""Character classes that may be repeated: cut so that xgrammar can follow every character through its bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.content.ebnf import character_class, class_units

CODES = st.integers(0x20, 0x10FFFF).filter(lambda code: not 0xD800 <= code <= 0xDFFF)


@pytest.mark.parametrize(
    ("ranges", "units"),
    [
        (((0x61, 0x7A),), ["[a-z]"]),
        (((0x20, 0xD7FF), (0xE000, 0x10FFFF)), [r"[\u0020-\U0010FFFF]"]),
        (((0x80, 0xE8), (0xEA, 0x7FF)), [r"[\u0080-\u00E8\u00EA-\u07FF]"]),
        (((0x4E00, 0x9FA1),), [r"[\u5000-\u8FFF]", r"[\u4E00-\u4FFF]", r"[\u9000-\u9FA1]"]),
        (((0x1F300, 0x1F6FF),), [r"[\U0001F300-\U0001F6FF]"]),
        (((0x80, 0xD7FF),), [r"[\u0080-\uCFFF]", r"[\uD000-\uD7FF]"]),
    ],
)
def test_what_shares_a_first_byte_with_others_is_a_unit_of_its_own(
    ranges: tuple[tuple[int, int], ...], units: list[str]
) -> None:
    assert class_units(ranges) == units


@given(CODES, CODES, CODES)
def test_the_units_together_are_the_class(one: int, other: int, code: int) -> None:
    low, high = sorted((one, other))
    if low <= 0xD7FF and high >= 0xE000:
        ranges: tuple[tuple[int, int], ...] = ((low, 0xD7FF), (0xE000, high))
    else:
        ranges = ((low, high),)
    texts = [re.compile(unit) for unit in class_units(ranges)]
    assert any(unit.fullmatch(chr(code)) for unit in texts) is (low <= code <= high)
    assert bool(re.fullmatch(character_class(ranges), chr(code))) is (low <= code <= high)
