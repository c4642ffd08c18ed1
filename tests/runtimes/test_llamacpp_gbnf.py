"""GBNF is read, checked, and written as Lark."""

from __future__ import annotations

import pytest

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.llamacpp_gbnf import (
    Character,
    InOrder,
    OneOf,
    Reference,
    Repeated,
    Special,
    Text,
    check_length,
    read_gbnf,
)
from fluid_server.runtimes.llamacpp_rules import lower


def test_all_that_gbnf_has_is_read() -> None:
    rules = read_gbnf('root ::= ("a" | word+)? [^a-c\\n]{2,3} # a remark\n  . <[7]>\nword ::= "\\x41\\u00e9\\""')
    assert rules["root"] == InOrder(
        (
            Repeated(OneOf((Text("a"), Repeated(Reference("word"), "+"))), "?"),
            Repeated(Character(r"[^\x{61}-\x{63}\x{a}]"), "{2,3}"),
            Character("(?s:.)"),
            Special("<[7]>", 2),
        )
    )
    assert rules["word"] == Text('Aé"')


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("", "no rule 'root'"),
        ('item ::= "a"', "no rule 'root'"),
        ("root ::= item", "'item' is not defined in line 1"),
        ('root ::= "a"\nroot ::= "b"', "'root' is defined twice in line 2"),
        ('root ::= ("a"', "not closed in line 1"),
        ('root ::= "a" )', "line 1"),
        ('root ::= "a', "cannot be read in line 1"),
        ('root ::= "a"{}', "no number"),
        ("root ::= [b-a]", "'b-a' is empty"),
        ('root ::= "\\uD800"', "no character"),
        ('root ::= "a\\x00"', "the character 0 is not supported in line 1"),
        ("root ::= " + "(" * 101 + ")" * 101, "more than 100 deep"),
        ("root ::= * 'a'", "cannot be read"),
        ("root ::=  * ", "'\\*' is not expected"),
    ],
)
def test_what_is_wrong_with_a_grammar_is_said_with_its_line(definition: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        read_gbnf(definition)
    assert caught.value.param == "response_format"


def test_a_grammar_over_the_limit_is_refused() -> None:
    check_length("a" * 65_536)
    with pytest.raises(InvalidRequest, match="the limit is 65536"):
        check_length("a" * 65_537)


def test_a_grammar_that_does_not_refer_to_itself_is_one_terminal() -> None:
    lowered = lower('root ::= "a" item*\nitem ::= [0-9] | "x"', "g_", is_json=False)
    assert lowered.regular
    assert lowered.rules == (r'G_0: (/[\x{30}-\x{39}]/ | "x")', 'G_1: ("a") ((G_0)*)')
    assert lowered.expression == "G_1"


def test_one_that_does_is_written_character_by_character() -> None:
    lowered = lower('root ::= "ab" root | [c]', "g_", is_json=False)
    assert not lowered.regular
    assert lowered.rules == (r'g_r0: (("a" "b") (g_r0)) | (/[\x{63}]/)',)


def test_in_json_regular_neighbours_and_alternatives_are_terminals_all_the_same() -> None:
    lowered = lower('root ::= "[" "x" root "]" | "a" | digit\ndigit ::= [0-9]', "g_", is_json=True)
    assert lowered.rules == (
        r"G_0: /[\x{30}-\x{39}]/",
        'G_1: ("[") ("x")',
        'G_2: "]"',
        'G_3: ("a" | G_0)',
        "g_r0: ((G_1) (g_r0) (G_2)) | G_3",
    )


def test_a_long_chain_of_rules_is_no_deep_recursion() -> None:
    chain = "\n".join(f'r{number} ::= "x" r{number + 1}' for number in range(5000))
    assert lower(f'root ::= r0\n{chain}\nr5000 ::= "y"', "g_", is_json=True).rules


def test_a_special_token_keeps_its_id_and_is_refused_by_text() -> None:
    assert "<[7]>" in lower('root ::= <[7]> "a" | !<[8]>', "g_", is_json=False).rules[0]
    with pytest.raises(InvalidRequest, match="by its id"):
        lower("root ::= <think>", "g_", is_json=False)


@pytest.mark.parametrize(("rules", "regular"), [(100, True), (400, False)])
def test_a_long_chain_of_rules_is_no_single_terminal(rules: int, regular: bool) -> None:
    chain = "\n".join(f'r{number} ::= "a" r{number + 1} | "b"' for number in range(rules))
    assert lower(f'root ::= r0\n{chain}\nr{rules} ::= "z"', "g_", is_json=True).regular is regular
