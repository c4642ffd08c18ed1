"""Takes the weights of the Silero VAD out of its ONNX file, for content/activity.py.

    uv run --with onnx scripts/silero_weights.py silero_vad_16k_op15.onnx src/fluid_server/content/silero_vad.npz

The ONNX file lies in the `data` folder of the Python package silero-vad (6.2.3 was used; MIT licence, kept beside the
result as silero_vad.LICENSE). What content/activity.py can compute is left out: the first convolution is a discrete
Fourier transform under a Hann window, which this script checks. The biases of the LSTM are added up, since only their
sum counts. Stored as float16: what that changes is measured in tests/content/test_activity.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

CONVOLUTIONS = 4
WINDOW = 256  # samples of one transform


def fourier() -> np.ndarray:
    """The transform that content/activity.py computes: real parts, then imaginary ones. Shape [258, 256]."""
    time = np.arange(WINDOW)
    angles = 2 * np.pi * np.outer(np.arange(WINDOW // 2 + 1), time) / WINDOW
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / WINDOW)
    return np.concatenate([np.cos(angles), -np.sin(angles)]) * hann


def extract(path: Path) -> dict[str, np.ndarray]:
    """The arrays by the names that content/activity.py knows them by."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}
    if not np.allclose(stored["model.stft.forward_basis_buffer"][:, 0], fourier(), atol=1e-6):
        raise SystemExit("This file's first convolution is no Fourier transform under a Hann window.")
    arrays = {
        "lstm_input": stored["model.decoder.rnn.weight_ih"],
        "lstm_recurrent": stored["model.decoder.rnn.weight_hh"],
        "lstm_bias": stored["model.decoder.rnn.bias_ih"] + stored["model.decoder.rnn.bias_hh"],
        "out_weight": stored["model.decoder.decoder.2.weight"].reshape(-1),
        "out_bias": stored["model.decoder.decoder.2.bias"],
    }
    for index in range(CONVOLUTIONS):
        arrays[f"conv{index}_weight"] = stored[f"model.encoder.{index}.reparam_conv.weight"]
        arrays[f"conv{index}_bias"] = stored[f"model.encoder.{index}.reparam_conv.bias"]
    return arrays


def main() -> None:
    """Read the ONNX file, write the npz."""
    source, target = map(Path, sys.argv[1:])
    arrays = {name: array.astype(np.float32) for name, array in extract(source).items()}
    np.savez_compressed(target, **arrays)
    print(f"{target}: {target.stat().st_size} bytes, {sum(array.size for array in arrays.values())} numbers")


if __name__ == "__main__":
    main()
