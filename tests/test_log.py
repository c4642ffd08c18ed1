"""Logs for people and for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from fluid_server import log


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The root logger as it was, whatever a test sets up."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def record(
    message: str = "model %s ready", *values: object, level: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord("fluid_server.test", level, __file__, 1, message, values, None)
    vars(made).update(extra)
    return made


def failure() -> logging.LogRecord:
    made = record("defect", level=logging.ERROR)
    try:
        raise ValueError("boom")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_line_for_people() -> None:
    line = log.TextFormatter(colour=False).format(record("model %s ready", "tiny", model="tiny", pid=7))
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    model tiny ready  model=tiny  pid=7", line)


def test_people_see_the_traceback() -> None:
    lines = log.TextFormatter(colour=False).format(failure()).splitlines()
    assert lines[0].endswith("ERROR   defect")
    assert lines[-1] == "ValueError: boom"


@pytest.mark.parametrize(("level", "coloured"), [(logging.ERROR, True), (logging.INFO, False)])
def test_colour_is_for_what_matters(level: int, coloured: bool) -> None:
    line = log.TextFormatter(colour=True).format(record("x", level=level))
    assert line.startswith("\x1b[") is coloured
    assert line.endswith(log.RESET) is coloured


def test_an_object_for_machines() -> None:
    entry = json.loads(log.JsonFormatter().format(record("modèle %s\n", "tiny", model="tiny", pid=7)))
    assert entry["message"] == "modèle tiny\n"
    assert (entry["level"], entry["logger"]) == ("info", "fluid_server.test")
    assert (entry["model"], entry["pid"]) == ("tiny", 7)
    assert datetime.fromisoformat(entry["time"]).utcoffset() is not None


def test_machines_get_the_traceback_in_one_line() -> None:
    line = log.JsonFormatter().format(failure())
    assert "\n" not in line
    assert "ValueError: boom" in json.loads(line)["exception"]


def test_what_is_no_json_is_written_as_text() -> None:
    assert json.loads(log.JsonFormatter().format(record("x", what=object)))["what"] == "<class 'object'>"


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """The root logger keeps the handlers of the tests, whose stderr outlives this one's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("style", ["text", "json"])
def test_logs_go_to_stderr_from_the_level_on(capsys: pytest.CaptureFixture[str], style: str) -> None:
    log.set_up("warning", style)
    logging.getLogger("fluid_server.test").info("quiet")
    logging.getLogger("fluid_server.test").warning("loud")
    out, err = capsys.readouterr()
    assert out == ""
    assert "quiet" not in err
    assert "loud" in err
    assert err.startswith("{") is (style == "json")


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio"])
def test_libraries_speak_only_of_trouble(capsys: pytest.CaptureFixture[str], name: str) -> None:
    log.set_up("debug")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")
    err = capsys.readouterr().err
    assert "chatter" not in err
    assert "trouble" in err


@pytest.mark.usefixtures("logging_as_it_was")
def test_what_libraries_say_of_clients_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up()
    logging.getLogger("python_multipart.multipart").warning("Expected boundary character")
    logging.getLogger("uvicorn.error").error("ASGI callable returned without completing handshake.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    assert [line[9:] for line in capsys.readouterr().err.splitlines()] == ["ERROR   Exception in ASGI application"]


def test_a_message_cannot_forge_a_line_or_colour_the_terminal() -> None:
    record = logging.makeLogRecord(
        {"msg": "GET /x\n12:00:00 ERROR forged\x1b[31m ä", "levelno": 20, "levelname": "INFO"}
    )
    line = log.TextFormatter(colour=False).format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert r"\n12:00:00 ERROR forged\x1b[31m ä" in line
