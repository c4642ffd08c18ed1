"""What this machine is and has: its architecture and that of this Python, which emulation tells apart; espeak-ng."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path

CPUS = Path("/proc/cpuinfo")  # of Linux


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


def linux_says_amx(facts: Path = CPUS) -> bool:
    """Whether Linux names AMX among the processor's abilities; False on other systems, which do not say."""
    return "amx_tile" in _told(facts)


def cpu_name(facts: Path = CPUS) -> str:
    """What the processor is called; its architecture where nobody says. Linux has a file, others tell Python."""
    for line in _told(facts).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _told(facts: Path) -> str:
    try:
        return facts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def espeak_library(environment: Mapping[str, str]) -> Path | None:
    """espeak-ng's library where its installers put it and no loader looks; None elsewhere."""
    programs = Path(environment.get("PROGRAMFILES", "C:/Program Files"))
    places = {
        "win32": (programs / "eSpeak NG" / "libespeak-ng.dll",),
        "darwin": (Path("/opt/homebrew/lib/libespeak-ng.dylib"), Path("/usr/local/lib/libespeak-ng.dylib")),
    }
    return next((place for place in places.get(sys.platform, ()) if place.is_file()), None)


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
