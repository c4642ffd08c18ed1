"""A library that the system lacks: which one it was, and what brings it, in whatever words the loader says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import openai
import pytest

from fluid_server.libraries import what_is_missing
from tests.front_door import GGUF, RunningServer, clean_environment, command, until

NO_GOMP = "libgomp.so.1: cannot open shared object file: No such file or directory"
NO_RUNTIME = "DLL load failed while importing xllamacpp: The specified module could not be found."


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (NO_GOMP, "apt-get install libgomp1"),
        (f"Failed to load shared library '/somewhere/lib/libllama.so': {NO_GOMP}", "dnf install libgomp'"),
        ("/usr/lib/x86_64-linux-gnu/libgomp.so.1: file too short", "libgomp.so.1 is missing here"),
        ("Error loading shared library libstdc++.so.6: No such file (needed by x.so)", "apt-get install libstdc++6"),
        (
            "libfoo-bar.so.7: cannot open shared object file: No such file",
            "libfoo-bar.so.7 is missing here: install the",
        ),
        ("/lib/libc.so.6: version `GLIBC_2.38' not found (required by x.so)", "the system has no GLIBC_2.38"),
        ("dlopen(x.so): Library not loaded: @rpath/libomp.dylib\n  Referenced from: x.so", "brew install libomp"),
        ("dlopen(x.so): Library not loaded: /opt/lib/libzstd.1.dylib", "libzstd.1.dylib is missing here"),
        (NO_RUNTIME, "https://aka.ms/vs/17/release/vc_redist."),
        ("Could not find module 'llama.dll' (or one of its dependencies). Try …", "Visual C++ Redistributable"),
        ("[WinError 1114] A dynamic link library (DLL) initialization routine failed", "Visual C++ Redistributable"),
    ],
)
def test_the_advice_names_what_brings_the_library(said: str, advice: str) -> None:
    assert advice in (what_is_missing(ImportError(said)) or "")


@pytest.mark.parametrize("said", ["No module named 'xllamacpp'", "libfoo.so.1: undefined symbol: bar", ""])
def test_other_failures_are_left_to_their_own_words(said: str) -> None:
    assert what_is_missing(ImportError(said)) is None


@pytest.mark.parametrize(
    ("built_for", "file"),
    [("x64", "vc_redist.x64.exe"), ("arm64", "vc_redist.arm64.exe"), ("odd", "vc_redist.x64.exe")],
)
def test_the_download_is_that_of_this_python(monkeypatch: pytest.MonkeyPatch, built_for: str, file: str) -> None:
    monkeypatch.setattr("fluid_server.libraries.process_architecture", lambda: built_for)
    assert f"/{file}," in (what_is_missing(ImportError(NO_RUNTIME)) or "")


def broken(folder: Path, module: str, said: str) -> dict[str, str]:
    """An environment in which a package does not import, as where a library of the system is missing."""
    (folder / f"{module}.py").write_text(f"raise ImportError({said!r})\n", encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_a_server_says_at_start_and_to_the_client_what_to_install(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel for this platform")
    for module in ("llama_cpp", "xllamacpp"):
        env = broken(tmp_path, module, NO_GOMP)
    advice = "apt-get install libgomp1"
    running = RunningServer.start("--no-warm-up", folder=tmp_path, env=env)
    try:
        until(lambda: [line for line in running.log if "an engine cannot be used" in line and advice in line])
        with (
            openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0) as client,
            pytest.raises(openai.APIStatusError, match=advice),
        ):
            client.chat.completions.create(model=GGUF, messages=[{"role": "user", "content": "Hello"}])
    finally:
        running.stop()


def test_a_server_that_cannot_import_its_own_packages_ends_with_a_line_and_no_traceback(tmp_path: Path) -> None:
    ended = start(broken(tmp_path, "fastapi", NO_RUNTIME))
    assert ended.returncode == 14
    assert "It cannot start: a DLL is missing here" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_package_that_is_absent_means_a_damaged_installation(tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("import a_package_that_nobody_has\n", encoding="utf-8")
    ended = start({"PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 14
    assert "No module named 'a_package_that_nobody_has'" in ended.stderr
    assert "install Fluid Server again" in ended.stderr


def start(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The server's command, to its end."""
    return subprocess.run(
        command("serve", "--port", "0"),
        env=clean_environment(env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
