from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.content.regex import (
    Branch,
    Chars,
    Expression,
    InOrder,
    OneOf,
    Repeat,
    check_regex,
    lengths,
    parse_regex,
)
from fluid_server.errors import InvalidRequest


def matches(expression: Expression, text: str) -> set[int]:
    """How many characters of a text the tree can match at its beginning: the plainest reading of it."""
    match expression:
        case Chars(ranges=ranges):
            return {1} if text and any(low <= ord(text[0]) <= high for low, high in ranges) else set()
        case OneOf(options=options):
            return {end for option in options for end in matches(option, text)}
        case InOrder(parts=parts):
            ends = {0}
            for part in parts:
                ends = {end + more for end in ends for more in matches(part, text[end:])}
            return ends
        case Repeat(part=part, least=least, most=most):
            ends, found = {0}, {0} if least == 0 else set()
            for count in range(1, (most if most is not None else len(text) + least) + 1):
                ends = {end + more for end in ends for more in matches(part, text[end:])}
                if count >= least:
                    found |= ends
                if not ends:
                    break
            return found


def as_a_whole(branches: tuple[Branch, ...], text: str) -> bool:
    return any(len(text) in matches(branch.body, text) for branch in branches)


PATTERNS = [
    "abc", "a|b", "a*b+c?", "(ab)+", "(a{1,2}){0,2}b", "(a*){2}", "(a{2}){1,2}",
    "(?:a|bc){2,3}", "[a-c]{2}", "[^a-c]", ".", r"\d+", r"\w\s\W", r"\.\*", "",
    "a{0,2}?", "(a|)b", "[]a]", "[a-]", r"[\d-]", r"\x41é", "(?P<name>a)b", r"^ab$", "^a|b$", r"\Aa\Z", "a{2}", "a{2,}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="abcA1 _.*-]é", max_size=5))
def test_it_reads_what_pythons_expressions_read(pattern: str, text: str) -> None:
    plain = pattern.replace("^", "").replace("$", "") if pattern in ("^ab$", "^a|b$") else pattern
    expected = re.fullmatch(plain, text, re.ASCII) is not None
    assert as_a_whole(parse_regex(pattern), text) == expected


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?=a)", "look-ahead (position 0)"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", r"back-reference '\1' at position 3"),
        (r"\bword", r"escape '\b'"),
        (r"\p{L}", r"escape '\p'"),
        ("(a", "group at position 0 is not closed"),
        ("a)", "closes no group"),
        ("[a", "not closed"),
        ("[z-a]", "ends before it begins"),
        (r"[\d-z]", "has a class"),
        ("[[:alpha:]]", "POSIX"),
        ("*a", "follows nothing"),
        ("a**", "follows another"),
        ("a++", "possessive"),
        ("a{3,2}", "more at least"),
        ("a{99999}", "over the limit"),
        ("(a{1,9999}){1,9999}", "counts written out"),
        ("a^b", "anchor '^' at position 1"),
        ("(a$)b", "anchor '$'"),
        ("(?i)a", "'(?' at position 0"),
        ("a\\", "lone backslash"),
        (r"\ud800", "no character"),
        ("x" * 5000, "5000 characters"),
        ("(" * 100 + "a" + ")" * 100, "64 groups"),
    ],
)
def test_what_no_grammar_can_do_is_refused_by_name(pattern: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_regex(pattern, param="tools")
    assert told in caught.value.message
    assert caught.value.param == "tools"


@given(st.text(alphabet="ab()[]{}|*+?.^$\\d-,12:=<!P", max_size=14))
def test_no_expression_ends_it_in_another_way(pattern: str) -> None:
    try:
        parse_regex(pattern)
    except ValueError:
        return
    re.compile(pattern)  # what we take, Python takes


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("a", (1, 1)), ("a{2,5}|b", (1, 5)), ("(ab)*", (0, None)), ("", (0, 0)), ("(){9}", (0, 0))],
)
def test_it_knows_how_long_a_match_is(pattern: str, expected: tuple[int, int | None]) -> None:
    bounds = [lengths(branch.body) for branch in parse_regex(pattern)]
    highs = [high for _, high in bounds]
    assert (min(low for low, _ in bounds), None if None in highs else max(filter(None, highs), default=0)) == expected
