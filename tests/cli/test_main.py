"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import pytest

import fluid_server
from fluid_server import __main__ as way_in
from fluid_server.catalog.presets import preset
from fluid_server.cli.exit_codes import ExitCode
from fluid_server.cli.main import main
from fluid_server.cli.verbs import VERBS
from fluid_server.config import ServerConfig
from tests.cli.program import CTRL_C
from tests.front_door import RunningServer, clean_environment, command, until


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, str, str]:
    """Exit code, stdout and stderr."""
    try:
        code: int | str | None = main(arguments)
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and no settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", clean_environment())


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"fluid-server {fluid_server.__version__}\n", "")


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "doctor"])
def test_help_of_a_verb_has_examples(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, _ = said(capsys, verb, "--help")
    assert code == 0
    examples = out.partition("examples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith("  fluid-server") for line in examples)
    assert max(map(len, examples)) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_where_the_table_says(verb: str) -> None:
    module, _, function = VERBS[verb].target.partition(":")
    assert callable(getattr(import_module(f"fluid_server.cli.{module}"), function))


def test_known_models_in_examples_are_known() -> None:
    words = {word for verb in VERBS.values() for word in verb.notes.split() if word.startswith("qwen")}
    assert words
    assert all(preset(word) for word in words)


def test_a_failure_is_json_too_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "show", "nope", "--json", "--model-path", "none")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "model_not_found"
    assert len(err.splitlines()) == 1


def test_help_of_serve_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "serve", "--help")
    assert code == 0
    flags = {"--" + name.replace("_", "-") for name in ServerConfig.model_fields}
    assert {flag for flag in flags if flag not in out} == set()
    assert "--no-warm-up" in out
    assert "%%" not in out


@pytest.mark.parametrize("name", ServerConfig.model_fields)
def test_every_setting_is_described(name: str) -> None:
    assert ServerConfig.model_fields[name].description


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--prot", "1"], "--prot"),
        (["--port", "abc"], "--port (FLUID_PORT)"),
        (["--port", "70000"], "--port (FLUID_PORT)"),
        (["--max-memory", "lots"], "--max-memory (FLUID_MAX_MEMORY)"),
        (["--idle-timeout", "-1"], "--idle-timeout (FLUID_IDLE_TIMEOUT)"),
        (["--log-level", "loud"], "--log-level"),
        (["--openvino", "HINT"], "KEY=VALUE"),
        (["--config", "nope.toml"], "nope.toml"),
        (["--por", "1"], "'--port'"),
        (["--prot=8080"], "takes no flag '--prot'. Did you mean '--port'?"),
        (["ps", "--watchh"], "'fluid-server ps --help'"),
        (["ps", "everything"], "'ps' takes no argument 'everything'."),
        (
            ["service", "install", "--", "--device-id", "1"],
            "'serve' takes no flag '--device-id'. Did you mean '--device'?",
        ),
        (["bogus"], "bogus"),
        (["bogus"], "pull"),
        (["remove", "x"], "'rm'"),
        (["pul", "x"], "'pull'"),
        (["list", "--device", "CPU"], "--device"),
        (["pull"], "NAME"),
        (["show", " "], "a name is needed"),
        (["ps", "--host", "192.0.2.1"], "not this machine"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], named: str) -> None:
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example"])
def test_a_public_address_needs_a_key(capsys: pytest.CaptureFixture[str], host: str) -> None:
    code, _, err = said(capsys, "--host", host, "--port", "0")
    assert code == 2
    assert "FLUID_API_KEY" in err


def test_a_taken_port_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = said(capsys, "--port", str(port), "--no-warm-up")
    assert code == ExitCode.PORT_UNUSABLE
    assert f"Port {port}" in err
    assert "--port 0" in err
    assert len(err.splitlines()) == 1


def test_a_broken_setting_in_a_real_process(tmp_path: Path) -> None:
    (tmp_path / "fluid.toml").write_text("prot = 1\n", encoding="utf-8")
    ended = subprocess.run(
        command(), cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "fluid-server: The configuration file has unknown settings: prot.\n"


@CTRL_C
@pytest.mark.parametrize("verb", ["ps", "pull"])
def test_ctrl_c_during_the_imports_says_nothing(tmp_path: Path, verb: str) -> None:
    program = f"""
import sys, os, signal
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "fluid_server.cli.{verb}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Slow())
sys.argv = ["fluid-server", "{verb}", "owner/repo"][:2 if "{verb}" == "ps" else 3]
from fluid_server.__main__ import main
sys.exit(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=clean_environment(), capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_ctrl_c_while_a_class_is_made_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 makes a RuntimeError of it."""

    class Interrupted:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(way_in, "_run", lambda: type("Made", (), {"name": Interrupted()}))
    assert way_in.main() == 130


def test_it_serves_with_json_logs_and_ends_well(tmp_path: Path) -> None:
    flags = ("--echo", "--no-warm-up", "--log-format", "json")
    server = RunningServer.start(*flags, folder=tmp_path, env={"FLUID_LOG_LEVEL": "debug"})
    httpx.get(f"{server.base_url}/models", headers={"X-Request-ID": "mine"}).raise_for_status()
    entries = until(lambda: [json.loads(line) for line in server.log if '"mine"' in line])
    assert entries[0]["message"].startswith("GET /v1/models 200")
    assert (entries[0]["level"], entries[0]["request"]) == ("info", "mine")
    assert server.stop() == 0
    assert all(json.loads(line) for line in server.log if line.startswith("{"))
    assert not any("Traceback" in line for line in server.log)


def test_a_key_opens_a_real_server(tmp_path: Path) -> None:
    server = RunningServer.start("--no-warm-up", folder=tmp_path, env={"FLUID_API_KEY": "sesame"})
    try:
        assert httpx.get(f"{server.base_url}/models").status_code == 401
        opened = httpx.get(f"{server.base_url}/models", headers={"Authorization": "Bearer sesame"})
        assert opened.status_code == 200
        assert not any("sesame" in line for line in server.log)
    finally:
        server.stop()
