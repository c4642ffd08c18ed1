"""How llama.cpp is compiled for other machines than the one that compiles it."""

from __future__ import annotations

import pytest

from scripts.native_flags import flags

EVERYWHERE = [
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("win32", "AMD64"),
    ("win32", "ARM64"),
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
]


@pytest.mark.parametrize(("system", "machine"), EVERYWHERE)
def test_nowhere_for_the_processor_at_hand_and_all_in_the_package_itself(system: str, machine: str) -> None:
    made = flags(system, machine)
    assert "-DGGML_NATIVE=OFF" in made
    assert "-DCMAKE_INSTALL_BINDIR=llama_cpp/lib" in made
    assert not [flag for flag in made if " " in flag]  # they are one line, split at blanks


@pytest.mark.parametrize(("system", "machine"), EVERYWHERE[:3])
def test_where_ggml_has_variants_the_best_is_chosen_at_the_start(system: str, machine: str) -> None:
    made = flags(system, machine)
    assert {"-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON"} <= set(made)


@pytest.mark.parametrize(("system", "machine"), EVERYWHERE[3:])
def test_elsewhere_one_build_is_for_all(system: str, machine: str) -> None:
    assert not [flag for flag in flags(system, machine) if "VARIANTS" in flag]


def test_on_windows_on_arm_clang_compiles_for_arm() -> None:
    made = flags("win32", "ARM64")
    assert "-DCMAKE_CXX_COMPILER=clang++" in made
    assert "-DCMAKE_CXX_COMPILER_TARGET=arm64-pc-windows-msvc" in made
    assert "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16" in made
