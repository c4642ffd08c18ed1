"""The licences of everything inside the packaged program, as a folder that travels with it.

What Python packages say of themselves is taken from their metadata; libraries of the building machine that PyInstaller
takes along are named by a table, and one that is not in it is listed as unknown rather than left out.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from importlib.metadata import Distribution
from pathlib import Path

from scripts.bundle.contents import PACKAGE, ROOT
from scripts.bundle.distributions import installed

INDEX = "THIRD-PARTY.md"
NAMES = ("licen[cs]e*", "copying*", "notice*", "authors*", "*third-party*", "*.cdx.json")
CLASSIFIER = "License :: OSI Approved :: "
UNKNOWN = "unknown: look before you pass it on"
NOTICES = Path(__file__).parent / "notices"


@dataclass(frozen=True, slots=True)
class Part:
    """Something of others inside the program: ``files`` are its licence's texts, ``place`` is where it comes from."""

    name: str
    version: str
    licence: str
    place: str
    files: tuple[Path, ...] = ()


SYSTEM: tuple[tuple[str, str, str, str], ...] = (
    # pattern of the file, project, licence, place
    ("libgomp.*", "GCC's libgomp", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
    ("libgcc_s.*", "GCC's libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
    ("libstdc++.*", "GCC's libstdc++", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
    ("libssl*", "OpenSSL", "Apache-2.0", "https://www.openssl.org"),
    ("libcrypto*", "OpenSSL", "Apache-2.0", "https://www.openssl.org"),
    ("*sqlite3*", "SQLite", "blessing (public domain)", "https://sqlite.org"),
    ("libffi*", "libffi", "MIT", "https://sourceware.org/libffi"),
    ("liblzma*", "XZ Utils", "0BSD", "https://tukaani.org/xz"),
    ("libbz2*", "bzip2", "bzip2-1.0.6", "https://sourceware.org/bzip2"),
    ("libz.*", "zlib", "Zlib", "https://zlib.net"),
    ("libuuid*", "util-linux's libuuid", "BSD-3-Clause", "https://github.com/util-linux/util-linux"),
    ("libexpat*", "Expat", "MIT", "https://libexpat.github.io"),
    ("libmpdec*", "mpdecimal", "BSD-2-Clause", "https://www.bytereef.org/mpdecimal"),
    ("libpython*", "CPython", "PSF-2.0", "https://www.python.org"),
    ("python3*.dll", "CPython", "PSF-2.0", "https://www.python.org"),
    ("Python", "CPython", "PSF-2.0", "https://www.python.org"),
    ("vcruntime*.dll", "Microsoft Visual C++ Runtime", "LicenseRef-MSVC-Redistributable", "https://visualstudio.com"),
    ("msvcp*.dll", "Microsoft Visual C++ Runtime", "LicenseRef-MSVC-Redistributable", "https://visualstudio.com"),
    ("vcomp*.dll", "Microsoft Visual C++ Runtime", "LicenseRef-MSVC-Redistributable", "https://visualstudio.com"),
    ("ucrtbase.dll", "Microsoft Universal C Runtime", "LicenseRef-MSVC-Redistributable", "https://visualstudio.com"),
    (
        "api-ms-win-*.dll",
        "Microsoft Universal C Runtime",
        "LicenseRef-MSVC-Redistributable",
        "https://visualstudio.com",
    ),
)


def of_package(dist: Distribution) -> Part:
    """What an installed package says of its licence."""
    told = dist.metadata
    return Part(
        name=told["Name"],
        version=dist.version,
        licence=_licence(dist),
        place=next(iter(_places(dist)), f"the package {told['Name']}"),
        files=tuple(sorted(_texts(dist))),
    )


def _licence(dist: Distribution) -> str:
    told = dist.metadata
    classifiers = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith(CLASSIFIER)]
    written = _told(dist, "License")
    short = written.splitlines()[0].strip() if written else ""
    return _told(dist, "License-Expression") or ", ".join(classifiers) or short or UNKNOWN


def _told(dist: Distribution, field: str) -> str:
    return str(dist.metadata[field]).strip() if field in dist.metadata else ""


def _places(dist: Distribution) -> Iterator[str]:
    urls = [one.partition(", ") for one in dist.metadata.get_all("Project-URL") or ()]
    for wanted in ("source", "source code", "repository", "homepage"):
        yield from (url for name, _, url in urls if name.lower() == wanted)
    if home := _told(dist, "Home-page"):
        yield home
    yield from (url for _, _, url in urls)


def _texts(dist: Distribution) -> Iterator[Path]:
    """The files beside a package's metadata that tell of licences."""
    for file in dist.files or ():
        if any(fnmatch(file.name.lower(), pattern) for pattern in NAMES) and ".dist-info" in file.parts[0]:
            path = Path(str(file.locate()))
            if path.is_file():
                yield path


def of_library(file: Path) -> Part:
    """What is known of a library of the building machine."""
    for pattern, project, licence, place in SYSTEM:
        if fnmatch(file.name, pattern):
            return Part(project, "", licence, place, tuple(_of_system(file)))
    return Part(file.name, "", UNKNOWN, "the machine that it was built on", tuple(_of_system(file)))


def _of_system(file: Path) -> Iterator[Path]:
    """Debian's text on the package that a library is of, where it is Debian's."""
    if not file.is_file() or shutil.which("dpkg-query") is None:
        return
    owner = subprocess.run(
        ["dpkg-query", "-S", f"*/{file.name}"], capture_output=True, text=True, check=False, encoding="utf-8"
    ).stdout.partition(":")[0]
    text = Path("/usr/share/doc") / owner / "copyright"
    if owner and text.is_file():
        yield text


def of_python() -> Part:
    """The interpreter."""
    places = (Path(sysconfig.get_path("stdlib")) / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt")
    found = next((place for place in places if place.is_file()), None)
    return Part("CPython", platform.python_version(), "PSF-2.0", "https://www.python.org", (found,) if found else ())


def parts(packages: Iterable[str], libraries: Iterable[Path]) -> list[Part]:
    """Everything of others, each once, by name."""
    found = [of_python(), *(of_package(dist) for name in packages if (dist := installed(name)) is not None)]
    found += [of_library(file) for file in libraries]
    if (builder := installed("pyinstaller")) is not None:  # its loader is what starts: the exception lets it be in any
        found.append(replace(of_package(builder), licence="GPL-2.0-or-later WITH Bootloader-exception"))
    once = {part.name.lower(): part for part in reversed(found)}
    return sorted((part for part in once.values() if part.name != "fluid-server"), key=lambda part: part.name.lower())


def write(folder: Path, found: Iterable[Part]) -> None:
    """Make the folder anew: an index, our own licences, notices on what needs more words, and each part's texts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", folder / "fluid-server.txt")
    shutil.copyfile(PACKAGE / "content" / "silero_vad.LICENSE", folder / "silero-vad.txt")
    for notice in sorted(NOTICES.glob("*.md")):
        shutil.copyfile(notice, folder / notice.name)
    rows = []
    for part in found:
        for text in part.files:
            place = folder / _folder_of(part) / _name_of(text)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, place)
        rows.append(_row(part))
    (folder / INDEX).write_text(INTRODUCTION + "\n".join(rows) + "\n", encoding="utf-8", newline="\n")


def _folder_of(part: Part) -> str:
    return part.name.lower().replace(" ", "-").replace("'", "")


def _name_of(text: Path) -> str:
    """Texts of one package may have one name in several folders."""
    inside = text.parts[next((i + 1 for i, one in enumerate(text.parts) if one.endswith(".dist-info")), -1) :]
    return "-".join(one for one in inside if one not in ("licenses", "/"))


def _row(part: Part) -> str:
    texts = "with its source"
    if part.files:
        texts = f"[{len(part.files)} file{'' if len(part.files) == 1 else 's'}]({_folder_of(part)}/)"
    elif "Apache" in part.licence:
        texts = "[the same](fluid-server.txt)"
    return f"| {part.name} | {part.version} | {part.licence} | {texts} | {part.place} |"


INTRODUCTION = """\
# What of others is in this program

Fluid Server is under [Apache-2.0](fluid-server.txt). It comes with the parts below, each under its own licence; the
weights that tell speech from silence are the [Silero VAD](silero-vad.txt)'s, under MIT. Who passes this program on
passes all of them on. Read [what comes with FFmpeg](ffmpeg.md) before you do: two libraries of it are under the GPL.

| Part | Version | Licence | Text | From |
| --- | --- | --- | --- | --- |
"""
