"""What is new in a version, from CHANGELOG.md, and the tag that means it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluid_server import __version__
from scripts.shipping.notes import check_tag, release_notes, sections

CHANGES = """# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.1.0] - 2026-11-26

### Fixed

- A thing, see [1.0.0] above.

## [1.0.0] - 2026-01-01
"""


def test_a_version_gets_its_own_part_alone() -> None:
    assert release_notes(CHANGES, "1.1.0") == "### Fixed\n\n- A thing, see [1.0.0] above.\n"


def test_a_dry_run_takes_what_is_not_released() -> None:
    assert release_notes(CHANGES, "2.0.0", dry_run=True) == "### Added\n\n- Not yet.\n"


@pytest.mark.parametrize("version", ["2.0.0", "1.0.0"])
def test_a_version_of_which_nothing_is_said_is_not_released(version: str) -> None:
    with pytest.raises(ValueError, match=f"rename its part .Unreleased. to .{version}. with the date"):
        release_notes(CHANGES, version)


def test_the_tag_is_v_and_the_version() -> None:
    check_tag("v1.1.0", "1.1.0")
    with pytest.raises(ValueError, match=r"tag that commit v1\.2\.0"):
        check_tag("v1.1.0", "1.2.0")


def test_our_changelog_says_something_of_this_version() -> None:
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert release_notes(text, __version__, dry_run=True).startswith("### ")
    assert set(sections(text)) >= {"Unreleased"} or __version__ in sections(text)
