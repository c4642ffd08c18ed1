"""Names from the network: what may become a file's name here, and on Windows."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluid_server.catalog.portable import is_portable_name, is_portable_path


@pytest.mark.parametrize(
    "path", ["config.json", "a/b/c.gguf", "Ünï çode.gguf", "a+b (1)&c=%.gguf", "console.txt", "com.txt", "null"]
)
def test_ordinary_names_are_fine(path: str) -> None:
    assert is_portable_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "a//b", "a/", "../x", "a/../x", "./x", "..", ".", ".gitattributes", "a/.hidden/b",
        "C:/x", "C:x", "a\\b", "\\\\host\\share", "x:stream", "a*", "a?", 'a"', "a<b", "a|b",
        "CON", "nul", "aux.json", "a/Lpt1.txt", "com¹.bin", "CONIN$", "con .txt",
        "x.", "x ", " x", "a\nb", "a\x00b", "a\u202eb", "\ud800", "x" * 201, "ü" * 101, "/".join(["abcd"] * 100),
    ],
)  # fmt: skip
def test_what_leads_elsewhere_or_means_something_else_is_not(path: str) -> None:
    assert not is_portable_path(path)


@settings(deadline=None)
@given(st.text())
def test_what_is_portable_stays_in_its_folder_everywhere(path: str) -> None:
    if is_portable_path(path):
        for flavour in (PurePosixPath(path), PureWindowsPath(path)):
            assert flavour.parts == tuple(path.split("/"))
            assert not flavour.is_absolute()
            assert not flavour.drive
            assert ".." not in flavour.parts
            assert all(is_portable_name(part) for part in flavour.parts)
