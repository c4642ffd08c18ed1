"""Numbers across the borders of real graphs: float16, and the 8 and 16 bits of AI Hub's quantised models."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_border import Border, borders
from fluid_server.runtimes.qnn_decoding import Decoding, heard
from fluid_server.runtimes.qnn_files import quantisation, read_folder
from fluid_server.runtimes.qnn_sessions import open_sessions
from fluid_server.types import RuntimeOptions

SMALL = Path(__file__).resolve().parents[1] / "fixtures" / "qnn"


def scores(folder: Path, tokens: Sequence[int]) -> list[npt.NDArray[np.float32]]:
    """What a model of random weights answers to these tokens, having heard a rising tone."""
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    sessions = open_sessions(folder, RuntimeOptions(threads=1), compiled=False)
    contract = read_folder(folder, sessions)
    features = np.linspace(-1, 1, contract.bands * 3000, dtype=np.float32).reshape(contract.bands, 3000)
    decoding = Decoding(sessions, contract, heard(sessions, contract, features))
    return [decoding.step(token) for token in tokens]


def test_a_quantised_model_answers_nearly_what_its_floats_answer() -> None:
    tokens = [7, 250, 3, 3, 120]
    for exact, rounded in zip(
        scores(SMALL / "float/cpu", tokens), scores(SMALL / "quantised/cpu", tokens), strict=True
    ):
        assert np.corrcoef(exact, rounded)[0, 1] > 0.99
        assert exact.std() > 1


def test_each_step_sees_those_before_it() -> None:
    (alone,) = scores(SMALL / "float/cpu", [3])
    assert not np.allclose(scores(SMALL / "float/cpu", [7, 3])[-1], alone, atol=0.1)


def test_a_full_decoder_says_so() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    sessions = open_sessions(SMALL / "float/cpu", RuntimeOptions(threads=1), compiled=False)
    contract = read_folder(SMALL / "float/cpu", sessions)
    decoding = Decoding(sessions, contract, heard(sessions, contract, np.zeros((128, 3000), np.float32)))
    for left in range(16, 0, -1):
        assert decoding.room == left
        decoding.step(1)
    assert decoding.room == 0


def test_a_quantised_model_without_its_scales_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SMALL / "quantised/cpu", tmp_path / "cpu", ignore=shutil.ignore_patterns("metadata.json"))
    with pytest.raises(EngineFailed, match=r"'input_features' is quantised \(uint16\).*metadata\.json"):
        scores(tmp_path / "cpu", [])


def test_quantised_numbers_come_back_within_half_a_step_and_clipped() -> None:
    border = Border("x", (4,), np.dtype("uint8"), scale=0.1, zero_point=30)
    encoded = border.encode(np.array([-3.0, 0.0, 1.26, 99.0], np.float32))
    assert encoded.dtype == np.uint8
    assert border.decode(encoded) == pytest.approx([-3.0, 0.0, 1.3, 22.5])


def test_borders_that_write_alike_hand_tensors_on_untouched() -> None:
    one = Border("a_out", (2,), np.dtype("uint8"), 0.1, 3)
    assert one.holds_the_same_as(Border("a_in", (2,), np.dtype("uint8"), 0.1, 3))
    assert not one.holds_the_same_as(Border("a_in", (2,), np.dtype("uint8"), 0.2, 3))


class Node:
    """An input as a session declares it."""

    def __init__(self, name: str, kind: str, shape: list[object]) -> None:
        self.name, self.type, self.shape = name, kind, shape


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("mask", "tensor(float16)", [1, "length"]), r"'mask' has a size that is not fixed"),
        (Node("mask", "tensor(string)", [1]), r"'mask' is of type tensor\(string\)"),
        (Node("mask", "tensor(uint16)", [1]), r"'mask' is quantised \(uint16\)"),
    ],
)
def test_what_cannot_be_fed_is_refused_by_name(node: Node, reason: str) -> None:
    with pytest.raises(EngineFailed, match=reason):
        borders("decoder", [node], {})


@pytest.mark.parametrize("name", ["encoder.onnx", "WhisperEncoder", "encoder/model.onnx"])
def test_the_scales_of_a_half_are_found_however_its_file_is_called(name: str) -> None:
    metadata = {"model_files": {"decoder.onnx": {}, name: {"inputs": {"x": 1}}}}
    assert quantisation(metadata, "encoder") == {"inputs": {"x": 1}}
    assert quantisation({}, "encoder") == {}
