"""The pages in docs/reference say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "reference.py"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The script's own functions."""
    return runpy.run_path(str(SCRIPT))


def test_the_pages_are_what_the_code_says(
    reference: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code = reference["main"](["--check"])
    assert code == 0, capsys.readouterr().err


def test_a_page_that_differs_is_named(reference: dict[str, Any], tmp_path: Path) -> None:
    reference["write_all"](tmp_path)
    assert reference["drifted"](tmp_path) == []
    (tmp_path / "cli.md").write_text("old", encoding="utf-8")
    (tmp_path / "api.md").unlink()
    assert sorted(reference["drifted"](tmp_path)) == ["api.md", "cli.md"]


def test_one_page_can_be_written_alone(
    reference: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reference["write_all"](tmp_path, ["presets.md"])
    assert [file.name for file in tmp_path.iterdir()] == ["presets.md"]
    assert reference["drifted"](tmp_path, ["presets.md"]) == []
    with pytest.raises(SystemExit):
        reference["main"](["nothing"])
    assert "no page is called 'nothing'" in capsys.readouterr().err


def test_nothing_of_this_machine_is_in_the_pages(reference: dict[str, Any]) -> None:
    pages = "".join(write() for write in reference["PAGES"].values())
    assert str(Path.home()) not in pages
    assert str(Path.cwd()) not in pages
