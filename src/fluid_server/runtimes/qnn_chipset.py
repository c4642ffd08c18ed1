"""Which Qualcomm chip is here, and which of a model's chipset folders are for it: pure functions over read facts."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fluid_server.catalog.qnn import PORTABLE
from fluid_server.errors import EngineFailed
from fluid_server.machine import machine_architecture, process_architecture

# What a chip calls itself → AI Hub's name for it. The registry of Windows holds the trade name and the part number,
# soc0 of Linux the part number alone. The first that matches counts.
_CHIPS = (
    (r"x2 ?elite|x2e\d", "snapdragon-x2-elite"),
    (r"x2 ?plus|x2p\d", "snapdragon-x2-plus"),
    (r"x ?elite|x1e\d|sc8380", "snapdragon-x-elite"),
    (r"x ?plus|x1p\d", "snapdragon-x-plus"),
    (r"snapdragon x\b|x1-?26|x126", "snapdragon-x"),
    (r"8cx gen ?3|sc8280", "snapdragon-8cx-gen3"),
    (r"qcs6490|sc7280", "qcs6490"),
    (r"qcs8550|sm8550", "qcs8550"),
    (r"qcs9075|sa8775", "qcs9075"),
)  # fmt: skip
_TOLD_BY_LINUX = (
    "/sys/devices/soc0/family",
    "/sys/devices/soc0/machine",
    "/sys/firmware/devicetree/base/compatible",
)
# Chips with the same NPU (Hexagon v73, 45 TOPS): what was compiled for one is tried on the others. It loads or it
# fails there, loudly: nothing falls to the CPU.
_ALIKE = (("snapdragon-x-elite", "snapdragon-x-plus", "snapdragon-x-plus-8-core", "snapdragon-x"),)


@dataclass(frozen=True, slots=True)
class Machine:
    """``processor`` is how the chip is called, as read; empty where nothing tells. Architectures as in machine.py."""

    processor: str
    architecture: str
    python: str

    @property
    def chip(self) -> str | None:
        """AI Hub's name of the Qualcomm chip; None if there is none or it is not known."""
        name = re.sub(r"\((r|tm)\)", "", self.processor.lower())
        return next((chip for pattern, chip in _CHIPS if re.search(pattern, re.sub(r"\s+", " ", name))), None)

    @property
    def is_qualcomm(self) -> bool:
        """Whether the processor is Qualcomm's at all."""
        makers = ("qualcomm", "qcom", "snapdragon")
        return self.chip is not None or any(maker in self.processor.lower() for maker in makers)


def this_machine() -> Machine:
    """Read it. Nothing is asked of WMI or a shell, which take seconds."""
    return Machine(_processor(), machine_architecture(), process_architecture())


def _processor() -> str:
    if sys.platform == "win32":
        return _from_registry()
    return " ".join(text for file in _TOLD_BY_LINUX if (text := _text(file)))


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def _from_registry() -> str:
    """``Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Oryon(TM) CPU``, the same under emulation."""
    if sys.platform != "win32":
        return ""
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])
    except OSError:
        return ""


def without_npu(machine: Machine, *, plug_in: bool) -> str:
    """Why there is no NPU for us here, in words, and what to do. ``plug_in``: whether onnxruntime-qnn imports."""
    if not machine.is_qualcomm:
        return "this machine has no Qualcomm chip"
    if machine.python != machine.architecture:
        return (
            f"this Python is built for {machine.python} and runs emulated on {machine.architecture}: "
            f"install one for {machine.architecture}"
        )
    if not plug_in:
        return "onnxruntime-qnn is not installed: pip install 'fluid-server[qnn]'"
    return f"onnxruntime's QNN provider finds no NPU on this chip ({machine.processor}): update its NPU driver"


def folders_to_try(present: Sequence[str], device: str, machine: Machine) -> list[str]:
    """The model's chipset folders for a device, the best first: this chip's, one with the same NPU, the portable one.

    On the CPU only the portable graphs run; the NPU compiles them at load. Errors: EngineFailed that names what was
    looked for and what is there.
    """
    wanted = [PORTABLE] if device == "CPU" else [*_own_folders(machine.chip), PORTABLE]
    found = [name for want in wanted for name in present if plain_name(name) == want]
    if not found:
        chip = "" if device == "CPU" else f" on this chip ({machine.processor or 'unknown'})"
        raise EngineFailed(
            f"The model has no graphs for the {device}{chip}: looked for a folder {' or '.join(wanted)}; "
            f"there is: {', '.join(sorted(present))}. Export it for this chip and put the folder beside the others."
        )
    return found


def _own_folders(chip: str | None) -> list[str]:
    if chip is None:
        return []
    alike = next((family for family in _ALIKE if chip in family), ())
    return [chip, *(one for one in alike if one != chip)]


def plain_name(folder: str) -> str:
    """``qualcomm_snapdragon_x_elite``, as downloads are called, is ``snapdragon-x-elite``."""
    return folder.lower().replace("_", "-").removeprefix("qualcomm-")
