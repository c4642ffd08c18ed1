"""The licences that travel with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bundle.contents import packages
from scripts.bundle.distributions import installed
from scripts.bundle.licences import UNKNOWN, Part, of_library, of_package, parts, write


@pytest.mark.parametrize("name", sorted(packages() - {"fluid-server"}))
def test_every_package_inside_says_its_licence(name: str) -> None:
    dist = installed(name)
    assert dist is not None
    found = of_package(dist)
    assert found.licence != UNKNOWN
    assert "\n" not in found.licence
    assert found.place.startswith("https://") or name.startswith("openvino")


def test_nearly_every_package_brings_its_text() -> None:
    without = {part.name for name in packages() if (dist := installed(name)) and not (part := of_package(dist)).files}
    assert without <= {"fluid-server", "tokenizers"}  # whose wheel has none: it is under Apache-2.0, whose text is ours


def test_a_library_of_the_machine_is_known_by_its_name() -> None:
    assert of_library(Path("/usr/lib/libgomp.so.1")).licence == "GPL-3.0-or-later WITH GCC-exception-3.1"
    assert of_library(Path("vcruntime140_1.dll")).name == "Microsoft Visual C++ Runtime"


def test_a_library_that_nobody_knows_is_listed_and_not_left_out() -> None:
    found = parts([], [Path("/opt/libmystery.so.3")])
    assert {part.name: part.licence for part in found}["libmystery.so.3"] == UNKNOWN


def test_each_part_is_listed_once_in_order_and_we_ourselves_are_not() -> None:
    found = parts(["fluid-server", "numpy", "h11"], [Path("libssl.so.3"), Path("libcrypto.so.3")])
    names = [part.name for part in found]
    assert names == sorted(names, key=str.lower)
    assert names.count("OpenSSL") == 1
    assert {"CPython", "h11", "numpy", "pyinstaller"} <= set(names)
    assert "fluid-server" not in names


def test_the_folder_has_an_index_and_the_texts(tmp_path: Path) -> None:
    text = tmp_path / "LICENSE"
    text.write_text("Do as you like.", encoding="utf-8")
    folder = tmp_path / "licences"
    (folder / "old").mkdir(parents=True)
    write(
        folder,
        [
            Part("Some Library", "1.0", "MIT", "https://library.example", (text,)),
            Part("another", "2.0", "Apache-2.0", "https://another.example"),
        ],
    )
    index = (folder / "THIRD-PARTY.md").read_text(encoding="utf-8")
    assert "| Some Library | 1.0 | MIT | [1 file](some-library/) | https://library.example |" in index
    assert "| another | 2.0 | Apache-2.0 | [the same](fluid-server.txt) | https://another.example |" in index
    assert (folder / "some-library" / "LICENSE").read_text(encoding="utf-8") == "Do as you like."
    assert {"fluid-server.txt", "silero-vad.txt", "ffmpeg.md"} <= {file.name for file in folder.iterdir()}
    assert not (folder / "old").exists()


def test_the_notice_names_what_is_under_the_gpl() -> None:
    notice = Path(__file__).parents[2] / "scripts" / "bundle" / "notices" / "ffmpeg.md"
    text = notice.read_text(encoding="utf-8")
    assert "| libx264 | GPL-2.0-or-later" in text
    assert "| libx265 | GPL-2.0-or-later" in text
