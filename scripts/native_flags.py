"""How to compile llama-cpp-python for machines other than this one: prints what CMAKE_ARGS must be.

  export CMAKE_ARGS="$(uv run --no-project scripts/native_flags.py)"
  uv sync --extra native --reinstall-package llama-cpp-python

Without it, llama.cpp is compiled for the processor at hand, and dies on an older one. uv keeps what it has compiled and
does not see that the flags are others now: hence the reinstall.
"""

from __future__ import annotations

import argparse
import platform
import sys

# Everything beside the package's own library: the variants of the CPU's backend would lie in bin/, where nobody looks.
BESIDE_THE_LIBRARY = tuple(
    f"-DCMAKE_INSTALL_{kind}=llama_cpp/{folder}"
    for kind, folder in (("BINDIR", "lib"), ("LIBDIR", "lib"), ("INCLUDEDIR", "include"))
)
LEAN = ("-DLLAVA_BUILD=OFF", "-DLLAMA_BUILD_TOOLS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF")
"""Pictures are read by nobody here, and the programs are not in the package."""

ALL_VARIANTS = ("-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON")
"""A library for each generation of processors; the best is chosen at the start (llamacpp_native_library.py)."""

OLDEST = {"darwin": "armv8.4-a+dotprod+fp16", "win32": "armv8.2-a+dotprod+fp16"}
"""What every Mac with a processor of Apple's has, and every one that Windows 11 runs on."""

# Microsoft's compiler is refused by ggml on ARM. OpenMP would need LLVM's library for ARM64, which may not be there.
CLANG = (
    "-DGGML_OPENMP=OFF",
    *(f"-DCMAKE_{kind}_COMPILER={program}" for kind, program in (("C", "clang"), ("CXX", "clang++"))),
    *(f"-DCMAKE_{language}_COMPILER_TARGET=arm64-pc-windows-msvc" for language in ("C", "CXX", "ASM")),
)


def flags(system: str, machine: str) -> tuple[str, ...]:
    """For sys.platform and platform.machine(). ggml has variants for x64, and on ARM for Linux and Macs.

    On Macs they would be loaded beside Metal, which does the work: one is enough.
    """
    arm = machine.lower() in ("arm64", "aarch64")
    if arm and system in OLDEST:
        one_for_all = f"-DGGML_CPU_ARM_ARCH={OLDEST[system]}"
        return ("-DGGML_NATIVE=OFF", one_for_all, *(CLANG if system == "win32" else ()), *LEAN, *BESIDE_THE_LIBRARY)
    if system == "darwin":
        return ("-DGGML_NATIVE=OFF", *LEAN, *BESIDE_THE_LIBRARY)
    return ("-DGGML_NATIVE=OFF", *ALL_VARIANTS, *LEAN, *BESIDE_THE_LIBRARY)


def main() -> int:
    """Print them for this machine."""
    raw = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=raw).parse_args()
    print(" ".join(flags(sys.platform, platform.machine())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
