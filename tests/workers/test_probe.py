"""What runs here, found out by a process of its own."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec

import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.table import RUNTIMES
from fluid_server.workers import probe


def missing(name: str) -> str:
    raise PackageNotFoundError(name)


def test_the_report_names_every_runtime() -> None:
    report = asyncio.run(probe.probe())
    assert set(report) == set(RUNTIMES)
    assert report["echo"].available


@pytest.mark.parametrize(("runtime", "package"), [("openvino", "openvino_genai"), ("llamacpp", "xllamacpp")])
def test_what_is_installed_is_available_with_version_and_devices(runtime: str, package: str) -> None:
    entry = asyncio.run(probe.probe())[runtime]
    assert entry.available == (find_spec(package) is not None)
    if entry.available:
        assert entry.version
        assert "CPU" in entry.devices
    else:
        assert package.replace("_", "-") in (entry.reason or "")


def test_a_check_that_hangs_is_given_up() -> None:
    report = asyncio.run(probe.probe(timeout=0.0))
    assert not any(entry.available for entry in report.values())
    assert "did not answer" in (report["openvino"].reason or "")


def test_a_check_that_cannot_be_started_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_more(*command: object, **settings: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_more)
    report = asyncio.run(probe.probe())
    assert "Too many open files" in (report["openvino"].reason or "")


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        ("openvino", "openvino-genai is not installed: it has no wheel for"),
        (
            "qnn-whisper",
            "onnxruntime is not installed: it comes with the extra 'qnn' (in a clone: uv sync --extra qnn; of a",
        ),
        (
            "llamacpp",
            "or was left out. llama-cpp-python comes with the extra 'native' (in a clone: uv sync --extra native; of",
        ),
    ],
)
def test_a_package_that_is_not_installed_is_absent_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, runtime: str, reason: str
) -> None:
    monkeypatch.setattr(probe, "version", missing)
    entry = probe._look(RUNTIMES[runtime])
    assert not entry.available
    assert reason in (entry.reason or "")
    assert probe.broken({runtime: entry}) == []  # nothing is there that could be mended


def test_a_packaged_program_does_not_speak_of_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "version", missing)
    monkeypatch.setattr("sys.frozen", True, raising=False)
    assert probe._look(RUNTIMES["qnn-whisper"]).reason == "this program was built without onnxruntime"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ImportError("libgomp.so.1: cannot open shared object file"), "xllamacpp cannot be imported: libgomp.so.1 is"),
        (OSError("odd"), "xllamacpp cannot be imported: odd"),
        (EngineFailed("llama.cpp cannot be used here: odd"), "llama.cpp cannot be used here: odd"),
    ],
)
def test_a_package_that_does_not_import_says_what_to_install(error: Exception, advice: str) -> None:
    assert advice in probe._import_reason("xllamacpp", error)
