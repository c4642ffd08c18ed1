"""What Windows shows of the program: its version, and what it is called."""

from __future__ import annotations

import re

WORDS = {
    "CompanyName": "Fluid Server contributors",
    "FileDescription": "Fluid Server: a local AI server that speaks OpenAI's API",
    "InternalName": "fluid-server",
    "LegalCopyright": "Apache License 2.0",
    "OriginalFilename": "fluid-server.exe",
    "ProductName": "Fluid Server",
}
AMERICAN_ENGLISH, UNICODE = 0x0409, 1200


def numbers(version: str) -> tuple[int, int, int, int]:
    """The four numbers that Windows compares; what is no number (``rc1``) is left out of them."""
    release = re.match(r"\d+(\.\d+)*", version)
    found = [int(one) for one in release[0].split(".")] if release else []
    first, second, third, fourth, *_ = [*found, 0, 0, 0, 0]
    return first, second, third, fourth


def version_resource(version: str) -> str:
    """The file that PyInstaller reads, which is a Python expression of its own classes."""
    four = numbers(version)
    words = {**WORDS, "FileVersion": version, "ProductVersion": version}
    strings = ", ".join(f"StringStruct({name!r}, {value!r})" for name, value in words.items())
    return f"""VSVersionInfo(
    ffi=FixedFileInfo(filevers={four}, prodvers={four}, mask=0x3F, flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0),
    kids=[
        StringFileInfo([StringTable('{AMERICAN_ENGLISH:04x}{UNICODE:04x}', [{strings}])]),
        VarFileInfo([VarStruct('Translation', [{AMERICAN_ENGLISH}, {UNICODE}])]),
    ],
)
"""
