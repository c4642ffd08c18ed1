"""The trials that a built program must pass, held against the program as it is installed here: they pass and fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fluid_server.types import Kind
from scripts.bundle import trials
from scripts.bundle.running import Running, Trouble
from tests.front_door import ECHO, MODELS, OPENVINO, clean_environment, command


def start(folder: Path, *flags: str) -> Running:
    environment = clean_environment()
    return Running.start(command(), "--no-warm-up", *flags, environment=environment, folder=folder)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = start(tmp_path_factory.mktemp("trial"), "--echo", "--model-path", str(MODELS))
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("model", [OPENVINO])
def test_a_model_that_knows_the_answer_passes(running: Running, model: str) -> None:
    assert model in list(trials.models_of(running, Kind.TEXT))
    assert trials.first_token(running, model) > running.started
    trials.chat(running, model)


def test_a_model_that_does_not_know_it_is_trouble(running: Running) -> None:
    with pytest.raises(Trouble, match="echo answered"):
        trials.chat(running, ECHO)
    with pytest.raises(Trouble, match="echo streamed"):
        trials.first_token(running, ECHO)


@pytest.mark.parametrize("model", [OPENVINO])
def test_a_cancel_is_timed(running: Running, model: str) -> None:
    assert 0 < trials.cancel(running, model) < trials.FREE_WITHIN


def test_what_is_kept_is_read_and_the_pages_are_there(running: Running) -> None:
    trials.keep(running, ECHO)
    trials.pages(running)


def test_a_refusal_is_trouble_in_the_server_s_own_words(running: Running) -> None:
    with pytest.raises(Trouble, match=r"404 .*no-such-model"):
        trials.chat(running, "no-such-model")


def test_a_good_end_takes_the_workers_along(tmp_path: Path) -> None:
    made = start(tmp_path, "--echo")
    try:
        trials.keep(made, ECHO)  # in a worker
        trials.end_well(made)
    finally:
        made.close()


def test_a_program_that_does_not_start_is_trouble_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"exit code 2.*no-such-flag"):
        start(tmp_path, "--no-such-flag")


def test_a_command_that_fails_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="no-such-verb ended with exit code 2"):
        trials.say(command(), "no-such-verb", environment=clean_environment(), folder=tmp_path)
