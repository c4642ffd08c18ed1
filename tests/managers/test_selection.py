"""From facts to (runtime, device): tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fluid_server.machine import machine_architecture, normal_architecture, process_architecture
from fluid_server.managers.selection import Candidate, select
from fluid_server.types import Format, Kind, ModelSpec
from fluid_server.workers.probe import RuntimeReport

ABSENT = RuntimeReport(False, reason="no wheel for Windows ARM64")


def machine(*openvino: str, llamacpp: tuple[str, ...] = ("CPU",)) -> Mapping[str, RuntimeReport]:
    """A machine with these OpenVINO devices (none: OpenVINO is absent)."""
    intel = RuntimeReport(True, "1", openvino) if openvino else ABSENT
    other = RuntimeReport(True, "1", llamacpp) if llamacpp else ABSENT
    return {"openvino": intel, "openvino-whisper": intel, "llamacpp": other, "echo": RuntimeReport(True, "1", ("CPU",))}


def snapdragon(*devices: str, remark: str | None = None) -> Mapping[str, RuntimeReport]:
    """An ARM64 Windows: OpenVINO and llama.cpp have no wheels there."""
    return {**machine(llamacpp=()), "qnn-whisper": RuntimeReport(True, "1", devices, remark)}


def spec(form: Format, kind: Kind = Kind.TEXT) -> ModelSpec:
    return ModelSpec(id="m", format=form, kind=kind, path=Path())


def qnn_whisper(*chipsets: str) -> ModelSpec:
    """A QNN Whisper with graphs for these chipsets."""
    files = tuple(Path(f"m/{chipset}/{half}/model.onnx") for chipset in chipsets for half in ("encoder", "decoder"))
    return ModelSpec(id="m", format=Format.QNN, kind=Kind.TRANSCRIPTION, path=Path("m"), files=files)


@pytest.mark.parametrize(
    ("model", "here", "wish", "expected"),
    [
        (spec(Format.OPENVINO), machine("CPU"), "AUTO", ["openvino:CPU"]),
        (spec(Format.OPENVINO), machine("CPU", "GPU"), "AUTO", ["openvino:GPU", "openvino:CPU"]),
        (spec(Format.OPENVINO), machine("CPU", "GPU.0", "GPU.1"), "GPU", ["openvino:GPU.0"]),
        (spec(Format.OPENVINO), machine("CPU", "GPU.0", "GPU.1"), "GPU.1", ["openvino:GPU.1"]),
        (spec(Format.OPENVINO), machine("CPU", "GPU", "NPU"), "NPU", ["openvino:NPU"]),
        (spec(Format.OPENVINO), machine("CPU", "NPU"), "AUTO", ["openvino:CPU"]),
        (
            spec(Format.OPENVINO, Kind.TRANSCRIPTION),
            machine("CPU", "GPU", "NPU"),
            "AUTO",
            ["openvino-whisper:NPU", "openvino-whisper:GPU", "openvino-whisper:CPU"],
        ),
        (spec(Format.GGUF), machine("CPU"), "AUTO", ["llamacpp:CPU"]),
        (spec(Format.GGUF), machine(llamacpp=("CPU", "GPU")), "AUTO", ["llamacpp:GPU", "llamacpp:CPU"]),
        (spec(Format.GGUF, Kind.VISION), machine(), "AUTO", ["llamacpp:CPU"]),
        (spec(Format.BUILTIN), machine(llamacpp=()), "AUTO", ["echo:CPU"]),
        (
            qnn_whisper("cpu", "snapdragon-x-elite"),
            snapdragon("NPU", "CPU"),
            "AUTO",
            ["qnn-whisper:NPU", "qnn-whisper:CPU"],
        ),
        (qnn_whisper("snapdragon-x-elite"), snapdragon("NPU", "CPU"), "AUTO", ["qnn-whisper:NPU"]),
        (qnn_whisper("cpu"), snapdragon("NPU", "CPU"), "NPU", ["qnn-whisper:NPU"]),
        (qnn_whisper("cpu", "snapdragon-x-elite"), snapdragon("NPU", "CPU"), "CPU", ["qnn-whisper:CPU"]),
        (qnn_whisper("cpu"), snapdragon("CPU"), "AUTO", ["qnn-whisper:CPU"]),
    ],
)
def test_candidates_the_best_first(
    model: ModelSpec, here: Mapping[str, RuntimeReport], wish: str, expected: list[str]
) -> None:
    found = [f"{one.runtime}:{one.device}" for one in select(model, here, wish).candidates]
    assert found == expected


@pytest.mark.parametrize(
    ("model", "here", "wish", "reason"),
    [
        (spec(Format.OPENVINO), machine(), "AUTO", "no wheel for Windows ARM64"),
        (spec(Format.OPENVINO), machine("CPU"), "GPU", "the device GPU is not here; there is: CPU"),
        (spec(Format.OPENVINO, Kind.IMAGE), machine("CPU"), "AUTO", "no runtime for image models in openvino"),
        (spec(Format.QNN, Kind.TEXT), snapdragon("NPU", "CPU"), "AUTO", "no runtime for text models in qnn"),
        (qnn_whisper("cpu"), machine("CPU"), "AUTO", "qnn-whisper was not checked"),
        (
            qnn_whisper("snapdragon-x-elite"),
            snapdragon("CPU", remark="no NPU: this Python is built for x64"),
            "AUTO",
            "compiled for the NPU of snapdragon-x-elite; there is: CPU (no NPU: this Python is built for x64)",
        ),
        (
            qnn_whisper("cpu"),
            snapdragon("CPU", remark="no NPU: this machine has no Qualcomm chip"),
            "NPU",
            "the device NPU is not here; there is: CPU (no NPU: this machine has no Qualcomm chip)",
        ),
        (spec(Format.OPENVINO), {}, "AUTO", "openvino was not checked"),
    ],
)
def test_where_nothing_fits_there_is_a_reason(
    model: ModelSpec, here: Mapping[str, RuntimeReport], wish: str, reason: str
) -> None:
    choice = select(model, here, wish)
    assert choice.candidates == ()
    assert reason in choice.reason


def test_candidates_compare_by_value() -> None:
    assert Candidate("openvino", "CPU") == Candidate("openvino", "CPU")


@pytest.mark.parametrize(
    ("name", "normal"),
    [("AMD64", "x64"), ("x86_64", "x64"), ("aarch64", "arm64"), ("ARM64", "arm64"), ("riscv64", "riscv64")],
)
def test_architectures_have_one_name(name: str, normal: str) -> None:
    assert normal_architecture(name) == normal


@pytest.mark.parametrize(
    ("native", "build", "machine_is", "process_is"),
    [("ARM64", "amd64", "arm64", "x64"), ("ARM64", "arm64", "arm64", "arm64"), ("AMD64", "amd64", "x64", "x64")],
)
def test_an_emulated_python_on_windows_knows_both(
    monkeypatch: pytest.MonkeyPatch, native: str, build: str, machine_is: str, process_is: str
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("fluid_server.machine._windows_native", lambda: native)
    monkeypatch.setattr("fluid_server.machine._windows_build", lambda: build)
    assert (machine_architecture(), process_architecture()) == (machine_is, process_is)
