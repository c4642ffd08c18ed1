"""A custom tool's input comes out of its JSON whole, however the JSON was cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.content.custom_input import CustomInput

TEXTS = ["", "ls -l", 'echo "hi"\n', '\\ \\\\ \\" \\n', "é 🦊 日本", "a\tb\u2028c", '{"input": "x"}']


def read(pieces: list[str]) -> str:
    reader = CustomInput()
    return "".join(reader.feed(piece) for piece in pieces)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_it_is_the_same_wherever_it_is_cut(text: str, ascii_only: bool) -> None:
    written = json.dumps({"input": text}, ensure_ascii=ascii_only)
    assert read(list(written)) == text
    for cut in range(len(written) + 1):
        assert read([written[:cut], written[cut:]]) == text


@given(st.text(), st.lists(st.integers(0, 60)), st.booleans())
def test_any_text_comes_back(text: str, cuts: list[int], ascii_only: bool) -> None:
    written = json.dumps({"input": text}, ensure_ascii=ascii_only)
    edges = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})
    assert read([written[start:end] for start, end in pairwise(edges)]) == text


def test_it_comes_as_soon_as_it_is_there() -> None:
    reader = CustomInput()
    assert [reader.feed(piece) for piece in ('{"inp', 'ut": "', "ab", "\\", "nc", '"}')] == [
        "",
        "",
        "ab",
        "",
        "\nc",
        "",
    ]


@pytest.mark.parametrize("written", ['{"command": "ls"}', "ls -l", "[1]", '{"input": 5}'])
def test_what_is_no_such_object_is_passed_on(written: str) -> None:
    assert read(list(written)) == written


def test_white_space_around_the_key_is_no_matter() -> None:
    assert read(list('\n{ "input" :\t"a b"\n}\n')) == "a b"
