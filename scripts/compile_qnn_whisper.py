"""Compile a Whisper's portable graphs for one Qualcomm chip, on any x64 machine with Linux or Windows.

    uv run --with onnxruntime --with onnxruntime-qnn scripts/compile_qnn_whisper.py MODEL --chipset snapdragon-x-elite

Reads MODEL/cpu (see export_qnn_whisper.py) and writes MODEL/CHIPSET: for each half an ONNX file around a QNN context,
and metadata.json with the versions that made it. A context is for one chip, and for QNN's versions from this one on.
Chips without a row here need --soc-model and --htp-arch, which Qualcomm's QNN documentation lists.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import onnxruntime
import onnxruntime_qnn

CHIPS = {"snapdragon-x-elite": ("60", "73")}  # soc_model, htp_arch
HALVES = ("encoder", "decoder")


def compiled(graph: Path, target: Path, soc_model: str, htp_arch: str) -> None:
    """One half. The session is made for the context that it leaves behind; nothing of it may be left to the CPU."""
    target.parent.mkdir(parents=True, exist_ok=True)
    settings = onnxruntime.SessionOptions()
    for name, value in (
        ("session.disable_cpu_ep_fallback", "1"),
        ("ep.context_enable", "1"),
        ("ep.context_embed_mode", "0"),
        ("ep.context_file_path", str(target)),
    ):
        settings.add_session_config_entry(name, value)
    name = onnxruntime_qnn.get_ep_name()
    device = next(one for one in onnxruntime.get_ep_devices() if one.ep_name == name)
    options = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "soc_model": soc_model,
        "htp_arch": htp_arch,
        "enable_htp_fp16_precision": "1",
        "htp_graph_finalization_optimization_mode": "3",
    }
    settings.add_provider_for_devices([device], options)
    onnxruntime.InferenceSession(str(graph), settings)


def main() -> None:
    """Read the arguments, compile both halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder that holds the portable graphs in cpu")
    parser.add_argument("--chipset", required=True, help="the chip, as the folder is to be called")
    parser.add_argument("--soc-model", help="QNN's number of the chip")
    parser.add_argument("--htp-arch", help="its NPU's version, such as 73")
    asked = parser.parse_args()
    known = CHIPS.get(asked.chipset, (None, None))
    soc_model, htp_arch = asked.soc_model or known[0], asked.htp_arch or known[1]
    if soc_model is None or htp_arch is None:
        parser.error(f"'{asked.chipset}' has no row here: give --soc-model and --htp-arch")
    onnxruntime.register_execution_provider_library(onnxruntime_qnn.get_ep_name(), onnxruntime_qnn.get_library_path())
    source, folder = asked.model / "cpu", asked.model / asked.chipset
    for half in HALVES:
        print(f"{half} …", flush=True)
        compiled(source / half / "model.onnx", folder / half / "model.onnx", soc_model, htp_arch)
    told = json.loads((source / "metadata.json").read_text(encoding="utf-8"))
    told |= {
        "runtime": "precompiled_qnn_onnx",
        "chipset_attributes": {"soc_model": soc_model, "htp_arch": htp_arch},
        "tool_versions": {"onnxruntime": onnxruntime.__version__, "onnxruntime-qnn": onnxruntime_qnn.__version__},
    }
    text = json.dumps(told, indent=1) + "\n"
    (folder / "metadata.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
