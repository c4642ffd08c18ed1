from __future__ import annotations

import pytest

from fluid_server.content.ebnf import Rules
from fluid_server.errors import UnsupportedField
from fluid_server.runtimes.openvino_lark import COMMON, lark_expression
from tests.runtimes.grammars import ebnf_tag, says

CALCULATOR = """
// sums and products
?start: sum
sum: product (("+" | "-") product)*   // left to right
product: atom (("*" | "/") atom)*
atom.2: NUMBER          -> number
      | "-" atom        -> negated
      | "(" sum ")"
%import common.NUMBER
"""


def grammar(definition: str) -> str:
    rules = Rules()
    return rules.written(lark_expression(rules, definition))


# grammar → what it lets through, what not
GRAMMARS = [
    (CALCULATOR, ["1+2*3", "-(4-.5)/2"], ["1+", "()", "1 + 2"]),
    ('start: "a"i /[0-9]+/ WORD?\nWORD: "x".."z"+', ["a1", "A22xyz"], ["b1", "ax"]),
    ('start: "ab"~2..3 ["!"]', ["abab", "ababab!"], ["ab", "abababab"]),
    ('start: item\n  | item "," start\nitem: "\\"" | "\\n" | "\\x41"', ['"', '",A', "\n"], [","]),
    ("start: _hidden+\n!_hidden: /a\\/b/", ["a/ba/b"], ["ab"]),
]


@pytest.mark.parametrize(("definition", "good", "bad"), GRAMMARS, ids=[str(index) for index in range(len(GRAMMARS))])
def test_a_lark_grammar_means_the_same(definition: str, good: list[str], bad: list[str]) -> None:
    tag = ebnf_tag(grammar(definition))
    assert [text for text in good + bad if says(tag, text)] == good


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ("start: WS\n%ignore WS", "line 2, '%ignore' is not supported"),
        ("%import my.thing\nstart: thing", "only terminals of 'common'"),
        ("%import common.C_COMMENT\nstart: C_COMMENT", "'common.C_COMMENT' is not known"),
        ("begin: /a/", "no rule 'start'"),
        ("start: missing", "'missing' is not defined"),
        ("start: /a/\nstart: /b/", "defined twice"),
        ("start: /(?=a)b/", "look-ahead"),
        ("start: /a/i", "flags 'i'"),
        ("start: pair{/a/}\npair{x}: x x", "templates"),
        ('start: ("a"', "is not closed"),
        ('start: "a"~3..2', "the count ~3..2"),
        ('start: "a".."bc"', "a range goes"),
        ("start /a/", "':' is missing"),
        ("start: §", "cannot be read"),
        ('"a"', "must begin with its name"),
    ],
)
def test_what_does_not_go_over_is_refused_by_name(definition: str, told: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        grammar(definition)
    assert told in caught.value.message
    assert caught.value.param == "tools"


@pytest.mark.parametrize("name", COMMON)
def test_every_common_terminal_can_be_written(name: str) -> None:
    assert "root ::=" in grammar(f"start: {name}\n%import common.{name}")
