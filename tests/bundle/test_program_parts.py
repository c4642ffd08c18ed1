"""The pure parts of building a program: what lies in it, what takes how much room, flags, version and icon."""

from __future__ import annotations

import argparse
import ast
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from fluid_server import __version__
from scripts.build import program_of
from scripts.bundle.archive import packages_in, unwanted
from scripts.bundle.options import Wish, add_flags, wish, wish_of
from scripts.bundle.room import by_part, part_of, report
from scripts.bundle.running import Trouble
from scripts.bundle.trials import check_engines, engines
from scripts.bundle.version_resource import numbers, version_resource
from scripts.icon import ICON, SIZES, drawing

# --- room ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("fluid-server.exe", "fluid-server.exe"),
        ("licences/numpy/LICENSE", "licences"),
        ("_internal/openvino/libs/libopenvino.so", "openvino"),
        ("_internal/av.libs/libavcodec.so", "av"),
        ("_internal/numpy-2.4.0.dist-info/METADATA", "metadata of packages"),
        ("_internal/libpython3.11.so.1.0", "Python and its libraries"),
        ("_internal/python3.11/lib-dynload/_ssl.so", "Python and its libraries"),
    ],
)
def test_a_file_is_counted_as_its_package_s(path: str, part: str) -> None:
    assert part_of(path) == part


def test_the_report_has_the_largest_first_and_the_sum() -> None:
    sizes = by_part({"_internal/av/a.so": 1_000_000, "_internal/av.libs/b.so": 2_500_000, "fluid-server": 500_000})
    assert sizes == {"av": 3_500_000, "fluid-server": 500_000}
    lines = report(sizes, title="Room:").splitlines()
    assert [line.split()[-2] for line in lines if line.endswith("MB")] == ["3.5", "0.5", "4.0"]


# --- what lies in it -----------------------------------------------------------------------------------------


def test_packages_are_known_by_their_metadata() -> None:
    files = ("_internal/pydantic_core-2.0.dist-info/METADATA", "numpy-2.4.6.dist-info/RECORD", "_internal/av/x.so")
    assert packages_in(files) == {"pydantic-core", "numpy"}


def test_what_must_not_be_in_it_is_found_in_every_form() -> None:
    files = [
        "_internal/openai-2.0.dist-info/METADATA",
        "_internal/python3.11/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so",
        "_internal/mypy/x.so",
        "_internal/numpy/core.so",
        "licences/pytest/LICENSE",
    ]
    assert unwanted(files, ["_pytest.config", "fastapi.routing"]) == ["_pytest", "mypy", "openai", "readline"]
    assert unwanted(["_internal/numpy/core.so", "fluid-server"], ["fastapi"]) == []
    assert unwanted(["_internal/fluid_server-1.0.dist-info/direct_url.json"], []) == ["direct_url.json"]


def test_an_engine_that_was_built_in_must_import() -> None:
    told = '[{"what": "runtime echo", "state": "ok"}, {"what": "runtime llamacpp", "state": "warning"}]'
    assert engines(told) == {"echo"}
    check_engines({"echo"}, frozenset())
    with pytest.raises(Trouble, match="llamacpp was built in"):
        check_engines({"echo"}, frozenset({"xllamacpp"}))


# --- flags ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", [[], ["--onefile"], ["--with-native", "--with-qnn"], ["--onefile", "--with-postgres", "--no-models"]]
)
def test_the_spec_is_told_what_was_typed(typed: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    wanted = wish_of(parser.parse_args(typed))
    assert wanted.flags() == typed
    assert wish(wanted.flags()) == wanted


def test_a_folder_and_a_single_file_have_places_of_their_own() -> None:
    folder, single = (program_of(Wish(one, frozenset(), models=True), Path("dist")) for one in (False, True))
    assert folder.parent == Path("dist", "fluid-server")
    assert single.parent == Path("dist", "onefile")
    assert folder.stem == single.stem == "fluid-server"


# --- Windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "four"), [("1.2.3", (1, 2, 3, 0)), ("0.1.0rc1", (0, 1, 0, 0)), ("2026.10.1.2.3", (2026, 10, 1, 2))]
)
def test_windows_compares_four_numbers(version: str, four: tuple[int, int, int, int]) -> None:
    assert numbers(version) == four


def test_the_version_resource_is_an_expression_of_pyinstaller_s_classes() -> None:
    tree = ast.parse(version_resource(__version__).strip(), mode="eval")
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert calls == {
        "VSVersionInfo", "FixedFileInfo", "StringFileInfo", "StringTable", "StringStruct", "VarFileInfo", "VarStruct",
    }  # fmt: skip
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {"ProductName", "Fluid Server", __version__, "040904b0"} <= texts


def test_the_icon_is_what_is_drawn() -> None:
    data = ICON.read_bytes()
    _, kind, count = struct.unpack_from("<HHH", data)
    assert (kind, count) == (1, len(SIZES))
    for number, size in enumerate(SIZES):
        width, height, _, _, _, bits, length, offset = struct.unpack_from("<BBBBHHII", data, 6 + 16 * number)
        assert (width, height, bits) == (size % 256, size % 256, 32)
        if size > 64:
            continue  # drawn as the others, and a second's work
        apart = np.abs(pixels(data[offset : offset + length], size).astype(int) - drawing(size))
        assert apart.max() <= 255 / 16  # one of a pixel's samples, where arithmetic differs from machine to machine


def pixels(png: bytes, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The RGBA of a PNG as our own writer makes it: one IDAT, no filter."""
    length = struct.unpack_from(">I", png, 33)[0]
    assert png[37:41] == b"IDAT"
    rows = np.frombuffer(zlib.decompress(png[41 : 41 + length]), np.uint8).reshape(size, 1 + 4 * size)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(size, size, 4)


def test_the_middle_of_the_icon_is_the_ground_and_its_corner_is_clear() -> None:
    icon = drawing(32)
    assert tuple(icon[16, 4]) == (0x0B, 0x6E, 0x99, 255)
    assert icon[0, 0, 3] == 0
    assert tuple(icon[10, 10]) == (255, 255, 255, 255)
