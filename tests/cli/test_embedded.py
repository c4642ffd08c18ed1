"""The contract with programs that start the server as a child: what they are told, and when it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import openai
import psutil
import pytest

import fluid_server
from fluid_server.cli.announcement import FILE
from fluid_server.cli.exit_codes import OF_FAILURE, ExitCode, exit_code_of
from fluid_server.cli.parent import parent_of, wait_for
from fluid_server.errors import CannotStart, ConfigError, FluidError, ParentGone
from tests.cli.embedding import FLAGS, asked, await_end, child, family, first_line
from tests.cli.program import WINDOWS, ran
from tests.front_door import ECHO, GGUF, MODELS, PATIENCE, clean_environment, command

FD_SETSIZE = 1024  # from this descriptor on select refuses
GIL_HELD = f"""
import ctypes, sys
from fluid_server.workers.kin import end_with_server
end_with_server()
print("holding", flush=True)
{"ctypes.PyDLL('kernel32').Sleep(60000)" if WINDOWS else "ctypes.PyDLL(None).sleep(60)"}
"""
STARTS_IT = """
import subprocess, sys
from fluid_server.workers.kin import end_children_with_us
end_children_with_us()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
PARENT = """
import os, subprocess, sys
server = subprocess.Popen([*sys.argv[1:], "--parent-pid", str(os.getpid())], stdin=subprocess.DEVNULL)
server.wait()
"""


def test_the_first_line_says_all_that_a_program_needs_and_nothing_follows(tmp_path: Path) -> None:
    with child("--data-dir", "Daten für 世界", folder=tmp_path) as server:
        told = server.told
        assert list(told) == ["url", "base_url", "host", "port", "pid", "version", "models", "data"]
        assert told["base_url"] == f"http://127.0.0.1:{told['port']}/v1"
        assert (told["host"], told["pid"], told["version"]) == (
            "127.0.0.1",
            server.process.pid,
            fluid_server.__version__,
        )
        assert (Path(told["models"]), Path(told["data"])) == (MODELS, tmp_path / "Daten für 世界")
        with openai.OpenAI(base_url=told["base_url"], api_key="none") as client:
            assert ECHO in {model.id for model in client.models.list()}
        assert server.end() == (0, "")


def test_all_that_is_written_lies_in_the_data_folder_and_the_log_file(tmp_path: Path) -> None:
    for name in ("home", "elsewhere", "work"):
        (tmp_path / name).mkdir()
    home, elsewhere = str(tmp_path / "home"), str(tmp_path / "elsewhere")
    env = {"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home, "XDG_DATA_HOME": home, "FLUID_DATABASE_URL": ""}
    env |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), elsewhere)
    data = tmp_path / "data"
    stale = data / "tmp" / "server-that-was-killed"
    stale.mkdir(parents=True)
    (stale / "lock").touch()
    with child("--data-dir", str(data), "--log-file", str(data / "a.log"), folder=tmp_path / "work", env=env) as server:
        for model in (ECHO, GGUF):
            asked(server.told, model, "hello", store=True, max_completion_tokens=4)
        assert {file.name for file in data.iterdir()} >= {"fluid.db", FILE, "tmp", "a.log"}
        (own,) = (data / "tmp").iterdir()
        assert own.name != stale.name
        assert server.end()[0] == 0
    assert [*(tmp_path / "home").iterdir(), *(tmp_path / "elsewhere").iterdir()] == []
    assert [file.name for file in (tmp_path / "work").iterdir()] == [server.log.name]
    assert [*(data / "tmp").iterdir()] == []
    log = (data / "a.log").read_text(encoding="utf-8")
    assert f"listening at {server.told['url']}" in log
    assert "model=fluid-tiny-gguf:F16" in log
    assert log.endswith("ended\n")


@pytest.mark.parametrize("model", [ECHO, GGUF])
def test_the_server_and_its_workers_end_with_their_parent(tmp_path: Path, model: str) -> None:
    """Also where requests run that could have gone on for a minute."""
    flags = (*FLAGS, "--model-path", str(MODELS), "--shutdown-grace", "60")
    log = tmp_path / "stderr.txt"
    here = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))  # what is ended by force leaves its folder there
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", PARENT, *command("serve", *flags)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tmp_path,
            env=clean_environment(here),
        ) as parent,
    ):
        try:
            told = first_line(parent.stdout, log)
            with _streaming(told["base_url"], model) as lines:
                next(lines)
                left = family(told["pid"])
                parent.kill()
                await_end(left)
        finally:
            parent.kill()
    assert len(left) > 1


@contextmanager
def _streaming(base_url: str, model: str) -> Generator[Iterator[str], None, None]:
    """An answer that goes on to the end of the context, eight times."""
    body = {"model": model, "messages": [{"role": "user", "content": "Count."}], "ignore_eos": True, "n": 8}
    with httpx.stream(
        "POST", f"{base_url}/chat/completions", json={**body, "stream": True}, timeout=PATIENCE
    ) as answer:
        yield answer.iter_lines()


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS ends no process with another: only the pipe is left")
def test_a_worker_that_holds_the_gil_ends_with_its_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_IT, GIL_HELD], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        assert server.stdout is not None
        worker = psutil.Process(int(server.stdout.readline()))
        server.kill()
    await_end([worker])


def test_two_instances_run_side_by_side(tmp_path: Path) -> None:
    keep = {"FLUID_DATABASE_URL": ""}
    data = ("--data-dir", str(tmp_path / "first"))
    with (
        child(*data, folder=tmp_path, models=None, env=keep) as first,
        child("--data-dir", str(tmp_path / "second"), folder=tmp_path, models=None, env=keep) as second,
        child(*data, folder=tmp_path, models=None, env=keep) as sharing,
    ):
        servers = (first, second, sharing)
        assert len({server.told["port"] for server in servers}) == 3
        assert [asked(server.told, ECHO, "hello", store=True) for server in servers] == ["hello"] * 3
        kept = [len(httpx.get(f"{s.told['base_url']}/chat/completions").json()["data"]) for s in servers]
        assert kept == [2, 1, 2]
        assert first.end()[0] == 0
        found = ran("ps", "--json", *data, folder=tmp_path)  # the other one is still found, and is not harmed
        assert [model["id"] for model in json.loads(found.stdout)] == [ECHO]
        assert second.end()[0] == sharing.end()[0] == 0


@pytest.mark.skipif(WINDOWS, reason="on Windows a shell cannot start a program without a standard stream")
def test_a_program_without_standard_streams_serves_all_the_same(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command("serve", *FLAGS, "--exit-with-stdin")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=clean_environment(),
    ) as process:
        try:
            assert asked(first_line(process.stdout, tmp_path), ECHO, "hello") == "hello"
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no descriptor tells when a process ends")
def test_the_parent_is_waited_for_where_more_than_a_thousand_files_are_open() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        _many_open_files(),
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(wait_for, psutil.Process(parent.pid))
        assert parent.stdin is not None
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        waiting.result(PATIENCE)


@contextmanager
def _many_open_files() -> Generator[None, None, None]:
    """So many that the next one is beyond what select takes."""
    if sys.platform == "win32":
        pytest.skip("not there")
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < FD_SETSIZE + 100:
        pytest.skip("this user may not open so many")
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], FD_SETSIZE + 100), before[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        descriptor = 0
        while descriptor < FD_SETSIZE:
            descriptor = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, descriptor)
        yield


# --- what keeps it from starting -------------------------------------------------------------------------------


def _a_process_that_has_ended() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def _refused(*flags: str, folder: Path) -> tuple[int, str]:
    done = ran("serve", "--port", "0", "--no-warm-up", *flags, folder=folder)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_parent_that_has_ended_is_told(tmp_path: Path) -> None:
    code, said = _refused("--parent-pid", str(_a_process_that_has_ended()), folder=tmp_path)
    assert code == ExitCode.PARENT_GONE
    assert "has ended already" in said


@pytest.mark.parametrize("pid", [0, -1, os.getpid()])
def test_what_is_no_parent_is_wrong_usage(tmp_path: Path, pid: int) -> None:
    code, said = _refused("--parent-pid", str(pid), folder=tmp_path)
    assert code == ExitCode.BAD_USAGE
    assert "no other process" in said


def test_a_number_that_was_given_away_again_is_no_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as younger:
        with pytest.raises(ParentGone):
            parent_of(younger.pid)
        younger.communicate()


@pytest.mark.parametrize("flag", ["--data-dir", "--log-file"])
def test_what_cannot_be_written_is_told(tmp_path: Path, flag: str) -> None:
    (tmp_path / "file").touch()
    code, said = _refused(flag, str(tmp_path / "file" / "below"), folder=tmp_path)
    assert code == ExitCode.FOLDER_UNUSABLE
    assert flag in said
    assert "file" in said
    assert "the right" not in said  # what stands in the way is no matter of rights


@pytest.mark.parametrize("flags", [["--ready-json"], ["--exit-with-stdin"], ["--parent-pid", "1"]], ids=" ".join)
def test_embedding_does_not_go_with_reloading(tmp_path: Path, flags: list[str]) -> None:
    code, said = _refused("--reload", *flags, folder=tmp_path)
    assert code == ExitCode.BAD_USAGE
    assert "--reload" in said


def test_the_log_file_says_why_it_did_not_start(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    code, said = _refused("--log-file", str(log), "--parent-pid", str(_a_process_that_has_ended()), folder=tmp_path)
    assert code == ExitCode.PARENT_GONE
    assert said.removeprefix("fluid-server: ") in log.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a small disk can be made on Linux alone, with unshare")
@pytest.mark.parametrize("flag", ["--data-dir", "--log-file"])
def test_a_full_disk_is_told(tmp_path: Path, flag: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=8k none disk && { head -c 8192 /dev/zero >disk/full || true; } && exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--map-root-user",
            "sh",
            "-c",
            script,
            "sh",
            *command("serve", *FLAGS, flag, str(disk / "here")),
        ],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no disk of its own may be mounted here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (ExitCode.DISK_FULL, "")
    assert "full" in done.stderr.splitlines()[-1]
    assert flag in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("package", ["pydantic", "uvicorn"])
def test_a_package_that_is_missing_is_told(tmp_path: Path, package: str) -> None:
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "{package}":
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["fluid-server"]
from fluid_server.__main__ import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (ExitCode.PACKAGE_MISSING, "")
    assert package in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_reason_not_to_start_has_its_own_exit_code() -> None:
    reasons = CannotStart.__subclasses__()
    codes = {exit_code_of(kind("x")) for kind in reasons}
    assert len(codes) == len(reasons) > 3
    assert not codes & {ExitCode.WELL, ExitCode.FAILED, ExitCode.BAD_USAGE}
    assert exit_code_of(ConfigError("x")) == ExitCode.BAD_USAGE
    assert exit_code_of(CannotStart("x")) == exit_code_of(FluidError("x")) == ExitCode.FAILED
    assert set(OF_FAILURE.values()) <= set(ExitCode)
