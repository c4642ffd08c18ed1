"""A built program as one file: what comes out is what went in, and the same bytes each time."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts.shipping.archive import archive, platform_name, sha256, write_sums

MOMENT = 1_790_000_000
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
RIGHTS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mark for what can be run")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    (folder / "_internal" / "empty of code").mkdir(parents=True)
    (folder / "fluid-server").write_bytes(b"code")
    (folder / "fluid-server").chmod(0o755)
    (folder / "_internal" / "empty of code" / "naïve.txt").write_bytes(b"text")
    return folder


@pytest.mark.parametrize("as_zip", [True, False])
def test_all_files_lie_in_one_folder_of_the_archives_name(program: Path, tmp_path: Path, as_zip: bool) -> None:
    made = archive(program, tmp_path / "out", "it-1.0", as_zip=as_zip, moment=MOMENT)
    assert made.name == ("it-1.0.zip" if as_zip else "it-1.0.tar.gz")
    unpack(made, tmp_path / "unpacked")
    inside = tmp_path / "unpacked" / "it-1.0"
    assert (inside / "fluid-server").read_bytes() == b"code"
    assert (inside / "_internal" / "empty of code" / "naïve.txt").read_bytes() == b"text"
    assert [one.name for one in (tmp_path / "unpacked").iterdir()] == ["it-1.0"]


@pytest.mark.parametrize("as_zip", [True, False])
def test_the_same_contents_give_the_same_bytes(program: Path, tmp_path: Path, as_zip: bool) -> None:
    first = archive(program, tmp_path / "first", "it", as_zip=as_zip, moment=MOMENT)
    (program / "fluid-server").touch()
    second = archive(program, tmp_path / "second", "it", as_zip=as_zip, moment=MOMENT)
    assert sha256(first) == sha256(second)


@RIGHTS
@pytest.mark.parametrize("as_zip", [True, False])
def test_what_can_be_run_can_be_run_after_unpacking(program: Path, tmp_path: Path, as_zip: bool) -> None:
    made = archive(program, tmp_path / "out", "it", as_zip=as_zip, moment=MOMENT)
    modes = {name: mode & 0o777 for name, mode in modes_in(made)}
    assert modes["it/fluid-server"] == 0o755
    assert modes["it/_internal/empty of code/naïve.txt"] == 0o644


@LINKS
def test_links_stay_links_in_a_tar_and_are_refused_in_a_zip(program: Path, tmp_path: Path) -> None:
    (program / "alias").symlink_to("fluid-server")
    made = archive(program, tmp_path / "out", "it", as_zip=False, moment=MOMENT)
    unpack(made, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "it" / "alias").readlink() == Path("fluid-server")
    with pytest.raises(ValueError, match="it/alias is a link"):
        archive(program, tmp_path / "out", "it", as_zip=True, moment=MOMENT)


def test_a_folder_without_files_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build the program first"):
        archive(tmp_path / "none", tmp_path, "it", as_zip=True, moment=MOMENT)


def test_the_sums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    for _ in range(2):  # its own file is not summed up the second time
        written = write_sums(tmp_path).read_text(encoding="utf-8")
    assert written == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n"
    )


def test_nothing_cannot_be_summed_up(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing in"):
        write_sums(tmp_path)


@pytest.mark.parametrize(
    ("system", "architecture", "name"),
    [("win32", "arm64", "windows-arm64"), ("darwin", "arm64", "macos-arm64"), ("linux", "x64", "linux-x64")],
)
def test_archives_are_named_by_system_and_architecture(system: str, architecture: str, name: str) -> None:
    assert platform_name(system, architecture) == name


def unpack(made: Path, goal: Path) -> None:
    if made.suffix == ".zip":
        with zipfile.ZipFile(made) as opened:
            opened.extractall(goal)
    else:
        with tarfile.open(made) as packed:
            packed.extractall(goal, filter="data")


def modes_in(made: Path) -> list[tuple[str, int]]:
    if made.suffix == ".zip":
        with zipfile.ZipFile(made) as opened:
            return [(entry.filename, entry.external_attr >> 16) for entry in opened.infolist()]
    with tarfile.open(made) as packed:
        return [(member.name, member.mode) for member in packed.getmembers()]
