"""The QNN provider itself; its simulator of the NPU runs the graphs (Linux x64, ``uv sync --group qnn-simulator``)."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_decoding import Decoding, heard
from fluid_server.runtimes.qnn_files import read_folder
from fluid_server.runtimes.qnn_sessions import Sessions, devices, open_sessions, provider_options, remark
from fluid_server.types import RuntimeOptions

SMALL = Path(__file__).resolve().parents[1] / "fixtures" / "qnn/float/cpu"
X_ELITE = {"soc_model": "60", "htp_arch": "73"}


@pytest.fixture(scope="module")
def simulator() -> None:
    pytest.importorskip("onnxruntime_qnn", reason="the simulator is not installed: uv sync --group qnn-simulator")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("only on Linux x64 does onnxruntime-qnn hold a simulator")


def on_the_npu(cache: Path | None = None, **more: str) -> Sessions:
    properties = {**X_ELITE, "htp_graph_finalization_optimization_mode": "1", **more}
    return open_sessions(SMALL, RuntimeOptions(device="NPU", cache_dir=cache, properties=properties), compiled=False)


def answers(sessions: Sessions) -> np.ndarray:
    """The decoder's, on what the CPU's encoder heard: simulated, half a minute of sound takes longer than that."""
    cpu = open_sessions(SMALL, RuntimeOptions(threads=1), compiled=False)
    contract = read_folder(SMALL, sessions)
    features = np.linspace(-1, 1, contract.bands * 3000, dtype=np.float32).reshape(contract.bands, 3000)
    decoding = Decoding(sessions, contract, heard(cpu, contract, features))
    return np.stack([decoding.step(token) for token in (7, 250, 3)])


@pytest.mark.usefixtures("simulator")
def test_the_npu_answers_what_the_cpu_answers_and_compiles_once(tmp_path: Path) -> None:
    expected = answers(open_sessions(SMALL, RuntimeOptions(threads=1), compiled=False))
    assert np.abs(answers(on_the_npu(tmp_path)) - expected).max() < 0.1
    kept = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert len([name for name in kept if name.endswith(".onnx")]) == 2
    assert np.abs(answers(on_the_npu(tmp_path)) - expected).max() < 0.1
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == kept


@pytest.mark.usefixtures("simulator")
def test_a_kept_compilation_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    on_the_npu(tmp_path)
    kept = sorted(tmp_path.glob("*.onnx"))
    for file in kept:
        file.write_bytes(b"damaged")
    on_the_npu(tmp_path)
    assert all(file.read_bytes() != b"damaged" for file in kept)


@pytest.mark.usefixtures("simulator")
def test_graphs_that_were_compiled_elsewhere_are_only_loaded(tmp_path: Path) -> None:
    on_the_npu(tmp_path)
    chipset = tmp_path / "snapdragon-x-elite"
    for half in ("encoder", "decoder"):
        (chipset / half).mkdir(parents=True)
        for file in tmp_path.glob(f"qnn-{half}-*"):
            file.rename(chipset / half / ("model.onnx" if file.suffix == ".onnx" else file.name))
    compiled = open_sessions(chipset, RuntimeOptions(device="NPU", properties=X_ELITE), compiled=True)
    assert np.array_equal(answers(compiled), answers(on_the_npu(tmp_path)))


@pytest.mark.usefixtures("simulator")
def test_an_option_that_the_provider_does_not_take_is_told() -> None:
    with pytest.raises(EngineFailed, match=r"encoder did not load on the NPU: .*"):
        on_the_npu(backend_path="nothing.so")


@pytest.mark.usefixtures("simulator")
def test_what_the_user_configures_comes_after_what_we_choose() -> None:
    options = provider_options(RuntimeOptions(device="NPU", properties={"htp_performance_mode": "balanced"}))
    assert options["htp_performance_mode"] == "balanced"
    assert options["enable_htp_fp16_precision"] == "1"
    assert Path(options["backend_path"]).is_file()


def test_without_an_npu_there_is_the_cpu_and_a_reason() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    if devices() != ["CPU"]:
        pytest.skip("this machine has a Qualcomm NPU")
    reason = remark()
    assert reason is not None
    assert reason.startswith("no NPU: ")
    with pytest.raises(EngineFailed, match=r"The encoder did not load on the NPU|There is no NPU: "):
        open_sessions(SMALL, RuntimeOptions(device="NPU"), compiled=True)
