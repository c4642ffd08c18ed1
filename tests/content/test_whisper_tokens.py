"""Whisper's special tokens: where they are in each family of models, and the prompt made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from fluid_server.content.language import NAMES
from fluid_server.content.whisper_tokens import TIMESTAMPS, Marks, read_marks, token_bytes
from fluid_server.errors import EngineFailed

DEMO = Path(__file__).resolve().parents[2] / "models/whisper/fluid-tiny-whisper-qnn"
AFTER_LANGUAGES = ("translate", "transcribe", "startoflm", "startofprev", "nocaptions", "notimestamps")


def published(languages: list[str], first: int = 50_257) -> dict[str, int]:
    """The added tokens of OpenAI's vocabularies: the end, the start, the languages, and the rest in its order."""
    names = ["endoftext", "startoftranscript", *languages, *AFTER_LANGUAGES]
    return {f"<|{name}|>": first + place for place, name in enumerate(names)}


NINETY_NINE = [code for code in NAMES if code != "yue"]
LARGE_V2 = read_marks(published(NINETY_NINE), 51_865, {})
LARGE_V3 = read_marks(published(list(NAMES)), 51_866, {})
ENGLISH = read_marks(published(NINETY_NINE, first=50_256), 51_864, {})


def test_the_hundredth_language_moves_what_comes_after_it() -> None:
    assert (LARGE_V2.transcribe, LARGE_V3.transcribe) == (50_359, 50_360)
    assert (LARGE_V2.first_timestamp, LARGE_V3.first_timestamp) == (50_364, 50_365)
    assert LARGE_V3.languages["yue"] == 50_358
    assert "yue" not in LARGE_V2.languages


def test_an_english_only_model_is_told_neither_language_nor_task() -> None:
    assert not ENGLISH.languages
    assert ENGLISH.start_sequence(None, "transcribe") == [50_257]


@pytest.mark.parametrize(("task", "last"), [("transcribe", 50_359), ("translate", 50_358)])
def test_the_start_names_language_and_task(task: str, last: int) -> None:
    assert LARGE_V2.start_sequence("fr", task) == [50_258, 50_265, last]


def test_the_demo_model_has_a_vocabulary_of_its_own() -> None:
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
    settings = json.loads((DEMO / "generation_config.json").read_text(encoding="utf-8"))
    marks = read_marks(added, 2131, settings)
    assert marks.languages == {"en": 622, "fr": 623}
    assert (marks.start, marks.end, marks.previous, marks.no_speech) == (621, 620, 627, 628)
    assert marks.first_timestamp + TIMESTAMPS == 2131
    assert marks.latest_start == 75
    assert {220, marks.end} <= marks.suppressed_first
    assert marks.no_timestamps in marks.suppressed


def test_languages_that_the_model_was_not_taught_are_none_of_its_own() -> None:
    marks = read_marks(published(NINETY_NINE), 51_865, {"is_multilingual": True, "lang_to_id": {"<|fr|>": 1}})
    assert list(marks.languages) == ["fr"]


def test_another_model_s_tokenizer_is_refused() -> None:
    with pytest.raises(EngineFailed, match=r"does not have the token <\|startoftranscript\|>"):
        read_marks({"<|endoftext|>": 0}, 32_000, {})


@pytest.mark.parametrize(
    ("context", "room", "expected"),
    [
        ([], 10, []),
        ([1, 2, 3], 10, [9, 1, 2, 3]),
        ([1, 2, 3], 3, [9, 2, 3]),
        ([1, 2, 3], 1, []),
    ],
)
def test_of_what_came_before_the_end_is_kept(context: list[int], room: int, expected: list[int]) -> None:
    marks = Marks(start=1, end=0, transcribe=2, translate=3, no_timestamps=4, first_timestamp=5, previous=9)
    assert marks.preceding(context, room) == expected


@pytest.mark.parametrize(
    ("piece", "data"),
    [
        ("Ġthe", b" the"),
        ("é", b"\xe9"),
        ("Ã©", "é".encode()),
        ("<|0.00|>", b"<|0.00|>"),
        ("Ċ", b"\n"),
        ("日", "日".encode()),
    ],
)
def test_the_bytes_of_a_token(piece: str, data: bytes) -> None:
    assert token_bytes(piece) == data
