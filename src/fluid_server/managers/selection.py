"""Which runtime on which device: a pure function from facts to names."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fluid_server.runtimes.table import RUNTIMES, Entry
from fluid_server.types import Kind, ModelSpec
from fluid_server.workers.probe import RuntimeReport

AUTO = "AUTO"
# What AUTO tries, in order. An NPU compiles for minutes and answers one request at a time, so a language model
# goes there only when asked to; Whisper is what it was made for.
PREFERRED = {Kind.TRANSCRIPTION: ("NPU", "GPU", "CPU")}
PREFERRED_ELSE = ("GPU", "CPU")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to run a model."""

    runtime: str
    device: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways to run a model, the best first; where there is none, the reason in words."""

    candidates: tuple[Candidate, ...]
    reason: str = ""


def select(spec: ModelSpec, reports: Mapping[str, RuntimeReport], wish: str = AUTO) -> Choice:
    """From the model's format and kind, the runtimes that import here and their devices, to ordered candidates."""
    fitting = [entry for entry in RUNTIMES.values() if spec.format in entry.formats and spec.kind in entry.kinds]
    if not fitting:
        return Choice((), f"no runtime for {spec.kind} models in {spec.format} format exists yet")
    usable = [entry for entry in fitting if _report(reports, entry).available]
    if not usable:
        reasons = {_report(reports, entry).reason or entry.name for entry in fitting}
        return Choice((), "; ".join(sorted(reasons)))
    found = tuple(
        Candidate(entry.name, device)
        for entry in usable
        for device in devices_to_try(spec.kind, _report(reports, entry).devices, wish)
    )
    if not found:
        present = ", ".join(sorted({device for entry in usable for device in _report(reports, entry).devices}))
        return Choice((), f"the device {wish} is not here; there is: {present}")
    return Choice(found)


def devices_to_try(kind: Kind, present: Sequence[str], wish: str) -> list[str]:
    """The wish, if it is here; for AUTO every fitting device, the best first. GPU.1 and the like count as GPU."""
    if wish != AUTO:
        matches = [device for device in present if wish in (device, device.split(".")[0])]
        return matches[:1]
    order = PREFERRED.get(kind, PREFERRED_ELSE)
    return [device for best in order for device in present if device.split(".")[0] == best]


def _report(reports: Mapping[str, RuntimeReport], entry: Entry) -> RuntimeReport:
    return reports.get(entry.name, RuntimeReport(False, reason=f"{entry.name} was not checked"))


def process_architecture() -> str:
    """The architecture this Python was built for: x64, arm64 or what the platform calls it."""
    return normal_architecture(platform.machine() if sys.platform != "win32" else _windows_build())


def machine_architecture() -> str:
    """The architecture of the machine, which an emulated x64 Python on ARM64 Windows does not see by itself."""
    if sys.platform == "win32":
        return normal_architecture(_windows_native())
    return normal_architecture(platform.machine())


def normal_architecture(name: str) -> str:
    """AMD64 and x86_64 are x64; aarch64 is arm64."""
    known = {
        "amd64": "x64",
        "x86_64": "x64",
        "x64": "x64",
        "aarch64": "arm64",
        "arm64": "arm64",
        "x86": "x86",
    }
    return known.get(name.lower(), name.lower())


def _windows_build() -> str:
    import sysconfig

    return sysconfig.get_platform().removeprefix("win-")


def _windows_native() -> str:
    """The native machine by IsWow64Process2, which tells the truth under emulation."""
    if sys.platform != "win32":
        return platform.machine()
    import ctypes

    process_machine, native_machine = ctypes.c_ushort(), ctypes.c_ushort()
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    answered = kernel.IsWow64Process2(
        ctypes.c_void_p(kernel.GetCurrentProcess()),
        ctypes.byref(process_machine),
        ctypes.byref(native_machine),
    )
    names = {0x8664: "AMD64", 0xAA64: "ARM64", 0x014C: "x86"}
    return names.get(native_machine.value, platform.machine()) if answered else platform.machine()
