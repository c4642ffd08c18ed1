"""scripts/package.py as the workflow runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluid_server import __version__
from scripts import package
from scripts.shipping.archive import sha256


def test_a_program_becomes_an_archive_with_its_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "fluid-server").write_bytes(b"code")
    out = tmp_path / "out"
    assert package.main(["program", str(tmp_path / "program"), "--out", str(out), "--no-sbom"]) == 0
    made, told = sorted(out.iterdir())
    assert made.name.startswith(f"fluid-server-{__version__}-")
    assert told.read_text(encoding="utf-8") == f"{sha256(made)}  {made.name}\n"
    assert str(made) in capsys.readouterr().out
    assert package.main(["sums", str(out)]) == 0
    assert len((out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()) == 2


def test_what_could_not_be_finished_leaves_the_former_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "fluid-server").write_bytes(b"code")
    out = tmp_path / "out"
    command = ["program", str(tmp_path / "program"), "--out", str(out)]
    assert package.main([*command, "--no-sbom"]) == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    (tmp_path / "program" / "more").write_bytes(b"code")
    assert package.main(command) == 1  # there is nothing of which a bill of materials could be made
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_files_get_the_time_that_reproducible_builds_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "fluid-server").write_bytes(b"code")
    sums = set()
    for name in ("first", "second"):
        assert package.main(["program", str(tmp_path / "program"), "--out", str(tmp_path / name), "--no-sbom"]) == 0
        sums.add(next((tmp_path / name).glob("*.sha256")).read_text(encoding="utf-8"))
    assert len(sums) == 1


def test_what_is_new_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert package.main(["notes"]) == 0
    assert capsys.readouterr().out.startswith("### ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["notes", "--tag", "v0.0.0.1"], f"tag that commit v{__version__}"),
        (["program", "a folder that is not there"], "build the program first"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert package.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("package: ")
    assert reason in said
