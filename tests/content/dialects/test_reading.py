"""Every recorded answer means the same however it is cut, and nothing of its marks is left."""

from __future__ import annotations

import pytest

from fluid_server.content.dialects import DIALECTS

from .listening import cuts, listen
from .recorded import ANSWERS
from .recording import Recorded


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer.dialect}: {answer.text[:60]!r}")
def test_an_answer_means_the_same_however_it_is_cut(answer: Recorded) -> None:
    whole = listen(answer.dialect, [answer.text], thinking=answer.thinking)
    assert whole.said == answer.said
    assert whole.thought == answer.thought
    assert tuple(whole.calls) == answer.calls
    assert whole.ended == (len(answer.calls) if answer.ended is None else answer.ended)
    for pieces in cuts(answer.text):
        assert listen(answer.dialect, pieces, thinking=answer.thinking) == whole, pieces


def test_every_dialect_has_recorded_answers() -> None:
    assert {answer.dialect for answer in ANSWERS} == set(DIALECTS)
