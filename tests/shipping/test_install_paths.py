"""What tries the ways to install: where it puts them, and what it hides. The ways themselves need the network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import install_paths
from scripts.install_paths import WAYS, Material, Way, tried
from scripts.paths.place import Failed, Place, can_hide, program_in
from scripts.paths.trial import says_what_to_do

NOTHING = Material(Path("none.whl"), None)
HIDING = pytest.mark.skipif(can_hide() is not None, reason=can_hide() or "files can be hidden here")


def test_a_place_knows_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLUID_PORT", "VIRTUAL_ENV", "PYTHONPATH", "CMAKE_ARGS"):
        monkeypatch.setenv(name, "ours")
    said = Place(tmp_path).run(sys.executable, "-c", "import os; print(sorted(os.environ), os.getcwd())")
    assert "ours" not in said
    assert not [name for name in ("FLUID_PORT", "VIRTUAL_ENV", "PYTHONPATH", "CMAKE_ARGS") if f"'{name}'" in said]
    assert str(tmp_path.resolve()) in said


def test_what_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="exit code 3: the reason") as failure:
        Place(tmp_path).run(sys.executable, "-c", "print('before'); print('the reason\\n'); raise SystemExit(3)")
    assert "before" in failure.value.said


@HIDING
def test_hidden_files_are_absent_for_the_command_and_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "system"
    folder.mkdir()
    hidden, seen = folder / "hidden.so", folder / "seen.so"
    for file in (hidden, seen):
        file.write_bytes(b"")
    place = Place(tmp_path, without=(hidden,))
    for _ in range(2):
        said = place.run(sys.executable, "-c", f"import os; print(os.listdir({str(folder)!r}))")
        assert said.strip() == "['seen.so']"
    assert hidden.exists()


def test_one_way_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    def fails(place: Place, _: Material) -> str:
        return place.run(sys.executable, "-c", "raise SystemExit('no such wheel')")

    assert tried(Way("broken", fails), NOTHING, tmp_path) == (
        False,
        f"FAILED: {Path(sys.executable).name} ended with exit code 1: no such wheel",
    )


def test_what_must_hide_something_is_not_tried_where_nothing_can_be_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_paths, "can_hide", lambda: "it is not Linux")
    way = next(way for way in WAYS if way.hides)
    assert tried(way, NOTHING, tmp_path) == (True, "not tried: it is not Linux")


def test_a_server_without_models_says_how_to_fetch_one(tmp_path: Path) -> None:
    program = program_in(Path(sys.prefix), "fluid-server")
    assert "fluid-server pull NAME" in says_what_to_do(Place(tmp_path), program)


def test_the_readme_names_every_way_that_is_tried() -> None:
    text = (install_paths.ROOT / "README.md").read_text(encoding="utf-8")
    for way in ("uv run fluid-server", "uv tool install", "pipx install", "pip install", "[native]"):
        assert way in text
    assert {way.name for way in WAYS} >= {"uv-run", "uv-tool", "pipx", "pip", "native", "no-compiler", "no-libgomp"}
