"""From what a machine says of itself to the folder of graphs: tables."""

from __future__ import annotations

import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_chipset import Machine, folders_to_try, plain_name, this_machine, without_npu

X_ELITE = "Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Oryon(TM) CPU"
X_PLUS = "Snapdragon(R) X Plus - X1P42100 - Qualcomm(R) Oryon(TM) CPU"
INTEL = "13th Gen Intel(R) Core(TM) i7-1360P"


def machine(processor: str, python: str = "arm64", architecture: str = "arm64") -> Machine:
    return Machine(processor, architecture, python)


@pytest.mark.parametrize(
    ("processor", "chip"),
    [
        (X_ELITE, "snapdragon-x-elite"),
        (X_PLUS, "snapdragon-x-plus"),
        ("Snapdragon(R) X - X126100 - Qualcomm(R) Oryon(TM) CPU", "snapdragon-x"),
        ("Snapdragon(R) X2 Elite - X2E88100 - Qualcomm(R) Oryon(TM) CPU", "snapdragon-x2-elite"),
        ("Snapdragon(TM) 8cx Gen 3 @ 3.0 GHz", "snapdragon-8cx-gen3"),
        ("Snapdragon X1E80100 lenovo,yoga-slim7x qcom,x1e80100", "snapdragon-x-elite"),
        ("Snapdragon QCS6490", "qcs6490"),
        ("Snapdragon (TM) 7c @ 2.40 GHz", None),
        (INTEL, None),
        ("Apple M3", None),
        ("", None),
    ],
)
def test_a_chip_is_known_by_its_trade_name_or_its_part_number(processor: str, chip: str | None) -> None:
    assert machine(processor).chip == chip


@pytest.mark.parametrize(
    ("present", "device", "processor", "expected"),
    [
        (["cpu", "snapdragon-x-elite"], "NPU", X_ELITE, ["snapdragon-x-elite", "cpu"]),
        (["snapdragon-x-elite", "snapdragon-x2-elite"], "NPU", X_ELITE, ["snapdragon-x-elite"]),
        (["qualcomm_snapdragon_x_elite"], "NPU", X_ELITE, ["qualcomm_snapdragon_x_elite"]),
        (["snapdragon-x-elite"], "NPU", X_PLUS, ["snapdragon-x-elite"]),
        (["snapdragon-x-elite", "snapdragon-x-plus"], "NPU", X_PLUS, ["snapdragon-x-plus", "snapdragon-x-elite"]),
        (["cpu", "snapdragon-x-elite"], "NPU", "Snapdragon(TM) 8cx Gen 3", ["cpu"]),
        (["cpu", "snapdragon-x-elite"], "CPU", X_ELITE, ["cpu"]),
        (["cpu"], "CPU", INTEL, ["cpu"]),
    ],
)
def test_this_chip_s_folder_comes_first(present: list[str], device: str, processor: str, expected: list[str]) -> None:
    assert folders_to_try(present, device, machine(processor)) == expected


@pytest.mark.parametrize(
    ("device", "processor", "reason"),
    [
        ("CPU", INTEL, r"no graphs for the CPU: looked for a folder cpu; there is: snapdragon-x2-elite\."),
        ("NPU", X_ELITE, r"X1E80100.*looked for a folder snapdragon-x-elite or .* or cpu; there is: snapdragon-x2"),
        ("NPU", "", r"on this chip \(unknown\): looked for a folder cpu;"),
    ],
)
def test_where_no_folder_fits_both_sides_are_named(device: str, processor: str, reason: str) -> None:
    with pytest.raises(EngineFailed, match=reason):
        folders_to_try(["snapdragon-x2-elite"], device, machine(processor))


@pytest.mark.parametrize(
    ("here", "plug_in", "reason"),
    [
        (machine(INTEL, "x64", "x64"), False, "no Qualcomm chip"),
        (machine(X_ELITE, "x64"), True, "this Python is built for x64 and runs emulated on arm64"),
        (machine(X_ELITE), False, "pip install 'fluid-server[qnn]'"),
        (machine(X_ELITE), True, "update its NPU driver"),
    ],
)
def test_why_there_is_no_npu(here: Machine, plug_in: bool, reason: str) -> None:
    assert reason in without_npu(here, plug_in=plug_in)


def test_this_machine_can_be_read() -> None:
    here = this_machine()
    assert here.architecture
    assert here.python


def test_folders_are_known_by_their_download_s_names_too() -> None:
    assert plain_name("Qualcomm_Snapdragon_X_Elite") == plain_name("snapdragon-x-elite") == "snapdragon-x-elite"
