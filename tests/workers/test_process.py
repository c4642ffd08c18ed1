"""How a worker is called, and how its end is told."""

from __future__ import annotations

import pytest

from fluid_server.workers.process import describe_exit, worker_command


def test_the_worker_is_started_as_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_command()[-3:] == ["-m", "fluid_server", "worker"]
    monkeypatch.setattr("sys.frozen", True, raising=False)
    assert worker_command()[1:] == ["worker"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (None, "still running"), (-11, "SIGSEGV"), (-200, "signal 200"), (0xC0000005, "0xc0000005")],
)
def test_exit_codes_in_words(code: int | None, words: str) -> None:
    assert words in describe_exit(code)
