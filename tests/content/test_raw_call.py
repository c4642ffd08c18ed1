"""An answer that is one tool's input."""

from __future__ import annotations

from fluid_server.content.dialects import Argued, Called
from fluid_server.content.raw_call import RawCall


def test_all_of_it_is_the_input() -> None:
    reader = RawCall("sql")
    assert reader.feed("") == []
    assert reader.feed("SELECT <tool_call>") == [Called(0, "sql"), Argued(0, "SELECT <tool_call>")]
    assert [*reader.feed(" 1"), *reader.flush()] == [Argued(0, " 1")]
    assert reader.held == 0


def test_an_empty_input_is_a_call_too() -> None:
    assert RawCall("sql").flush() == [Called(0, "sql")]
