"""Which token may follow which: OpenAI's timestamp rules on a vocabulary of twenty tokens."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.content.whisper_rules import (
    Rules,
    draw,
    likeliest_language,
    log_probabilities,
    no_speech_probability,
)
from fluid_server.content.whisper_tokens import Marks

END, START, ENGLISH, FRENCH, WRITE, TRANSLATE, NOBODY, UNTIMED = range(3, 11)
TIME = UNTIMED + 1  # 11 is 0.00, 12 is 0.02 …
VOCABULARY = TIME + 9
MARKS = Marks(
    start=START,
    end=END,
    transcribe=WRITE,
    translate=TRANSLATE,
    no_timestamps=UNTIMED,
    first_timestamp=TIME,
    no_speech=NOBODY,
    languages={"en": ENGLISH, "fr": FRENCH},
    suppressed=frozenset({START, WRITE, TRANSLATE, NOBODY, UNTIMED, 2}),
    suppressed_first=frozenset({END}),
    latest_start=4,
)
RULES = Rules(MARKS, VOCABULARY)
FLAT = np.zeros(VOCABULARY, np.float32)
TEXTLIKE = np.where(np.arange(VOCABULARY) < TIME, 5.0, 0.0).astype(np.float32)


def allowed(written: list[int], scores: npt.NDArray[np.float32] = TEXTLIKE) -> set[int]:
    return {int(token) for token in np.flatnonzero(np.isfinite(RULES.allowed(scores, written)))}


TEXT = {0, 1, END, ENGLISH, FRENCH}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], set(range(TIME, TIME + 5))),
        ([TIME], TEXT),
        ([TIME, 0], TEXT | set(range(TIME + 1, VOCABULARY))),
        ([TIME + 2, 0, 1], TEXT | set(range(TIME + 3, VOCABULARY))),
        ([TIME, 0, TIME + 5], {END, *(TEXT - {0, 1}), *range(TIME + 5, VOCABULARY)}),
        ([TIME, 0, TIME + 5, TIME + 5], TEXT),
        ([TIME, 0, TIME + 5, TIME + 6, 1], TEXT | set(range(TIME + 7, VOCABULARY))),
    ],
    ids=["first", "opened", "begun", "later", "closed", "opened again", "begun again"],
)
def test_times_come_in_pairs_and_never_go_back(written: list[int], expected: set[int]) -> None:
    assert allowed(written) == expected


def test_times_that_together_are_likelier_than_any_text_win() -> None:
    scores = FLAT.copy()
    scores[0] = math.log(7.5)
    assert allowed([TIME, 0], scores) == set(range(TIME + 1, VOCABULARY))
    scores[0] = math.log(8.5)  # eight times are left
    assert 0 in allowed([TIME, 0], scores)


def test_the_scores_that_came_are_left_as_they_were() -> None:
    scores = FLAT.copy()
    RULES.allowed(scores, [TIME, 0])
    assert (scores == 0).all()


def test_cold_the_likeliest_is_taken_with_its_probability() -> None:
    scores = np.log(np.array([0.1, 0.6, 0.3], np.float32))
    drawn = draw(scores, 0.0, np.random.default_rng(0))
    assert drawn.token == 1
    assert math.exp(drawn.logprob) == pytest.approx(0.6, rel=1e-4)


def test_warm_tokens_come_as_often_as_they_are_likely() -> None:
    scores = np.log(np.array([0.1, 0.6, 0.3], np.float32))
    chance = np.random.default_rng(1)
    counts = np.bincount([draw(scores, 1.0, chance).token for _ in range(3000)], minlength=3)
    assert counts / 3000 == pytest.approx([0.1, 0.6, 0.3], abs=0.04)


def test_what_is_forbidden_is_never_drawn() -> None:
    scores = np.array([-np.inf, 0.0, -np.inf, 0.0, -np.inf], np.float32)
    chance = np.random.default_rng(2)
    assert {draw(scores, 5.0, chance).token for _ in range(200)} == {1, 3}


def test_the_same_seed_draws_the_same() -> None:
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    assert [draw(FLAT, 1.0, one).token for _ in range(20)] == [draw(FLAT, 1.0, other).token for _ in range(20)]


def test_the_language_is_the_likeliest_of_those_there_are() -> None:
    scores = FLAT.copy()
    scores[0], scores[FRENCH] = 9.0, 1.0
    assert likeliest_language(scores, MARKS) == "fr"


def test_how_likely_it_is_that_nobody_speaks() -> None:
    assert no_speech_probability(FLAT, MARKS) == pytest.approx(1 / VOCABULARY)


def test_probabilities_sum_to_one() -> None:
    scores = np.array([500.0, 499.0, -np.inf], np.float32)
    assert np.exp(log_probabilities(scores)).sum() == pytest.approx(1.0)
