"""Stop strings: however the text is cut into pieces, the same part of it comes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import pytest

from fluid_server.content.stream import StopScanner
from fluid_server.errors import InvalidRequest


def scan(stops: Sequence[str], pieces: Iterable[str]) -> tuple[str, bool]:
    """Everything that is emitted for these pieces, and whether it was stopped."""
    scanner = StopScanner(stops)
    text = "".join([scanner.feed(piece) for piece in pieces])
    return text + scanner.flush(), scanner.stopped


def expected(stops: Sequence[str], text: str) -> tuple[str, bool]:
    """The plain definition: the stop string that ends first, of those the one that begins first."""
    found = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    return (text[: min(found)[1]], True) if found else (text, False)


CASES = [
    ((), "nothing to stop at"),
    (("\nUser:",), "An answer\nUser: and more"),
    (("\nUser:",), "ends in a beginning\nUse"),
    (("aab",), "aaaab!"),
    (("abab",), "abaabababx"),
    (("ab", "abc"), "xxabcd"),
    (("abcd", "bc"), "xabcd"),
    (("abcd", "bx"), "xabcabx"),
    (("###", "\n\n"), "a\n#\n##\n\nb"),
    (("終わり",), "これで終わ、終わりです"),
    (("👩‍👩",), "👩‍👩‍👧 family"),
    (("a", "a"), "bab"),
]


@pytest.mark.parametrize(("stops", "text"), CASES)
def test_every_split_gives_the_one_shot_answer(stops: tuple[str, ...], text: str) -> None:
    answer = expected(stops, text)
    assert scan(stops, [text]) == answer
    assert scan(stops, text) == answer
    for first in range(len(text)):
        for second in range(first, len(text)):
            assert scan(stops, [text[:first], text[first:second], text[second:]]) == answer


def test_every_short_text_of_two_letters_gives_the_one_shot_answer() -> None:
    for stops in [("aba", "bb"), ("aabb", "abba", "b" * 4), ("abab", "ba" * 3)]:
        for letters in product("ab", repeat=9):
            text = "".join(letters)
            assert scan(stops, text) == scan(stops, [text]) == expected(stops, text)


def test_only_a_possible_beginning_is_held_back() -> None:
    scanner = StopScanner(["STOP"])
    assert [scanner.feed(piece) for piece in ("go ", "ST", "A", "SS", "TO")] == ["go ", "", "STA", "S", ""]
    assert scanner.flush() == "STO"
    assert not scanner.stopped


def test_nothing_follows_a_stop() -> None:
    scanner = StopScanner(["STOP"])
    assert scanner.feed("a STOP b") == "a "
    assert (scanner.feed("more"), scanner.flush(), scanner.stopped) == ("", "", True)


def test_without_stops_text_passes_through_untouched() -> None:
    text = "as it is"
    assert StopScanner([]).feed(text) is text


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        StopScanner(["x", ""])
    assert caught.value.param == "stop"


def test_work_grows_with_the_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    one_step = StopScanner._follow

    def counted(self: StopScanner, character: str) -> int:
        nonlocal steps
        steps += 1
        return one_step(self, character)

    monkeypatch.setattr(StopScanner, "_follow", counted)
    scan(["a" * 1000 + "b"], "a" * 5000)
    assert steps == 5000
