"""What is new: one version's part of CHANGELOG.md, and whether a tag and the version are one."""

from __future__ import annotations

import re

HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\]", re.MULTILINE)
UNRELEASED = "Unreleased"


def check_tag(tag: str, version: str) -> None:
    """Errors: ValueError where ``tag`` is not v and the version of the package."""
    if tag != f"v{version}":
        raise ValueError(
            f"the tag is {tag} and fluid_server.__version__ is {version}: set the version in "
            f"src/fluid_server/__init__.py and tag that commit v{version}"
        )


def release_notes(changelog: str, version: str, *, dry_run: bool = False) -> str:
    """The part of one version, without its heading; in a dry run what is not released yet will do.

    Errors: ValueError where there is none, or it is empty.
    """
    found = sections(changelog)
    text = found.get(version) or (found.get(UNRELEASED) if dry_run else None)
    if not text:
        raise ValueError(
            f"CHANGELOG.md says nothing of {version}: rename its part [{UNRELEASED}] to [{version}] with the date"
        )
    return f"{text}\n"


def sections(changelog: str) -> dict[str, str]:
    """Version → text."""
    marks = list(HEADING.finditer(changelog))
    ends = [mark.start() for mark in marks[1:]] + [len(changelog)]
    return {
        mark["name"]: changelog[mark.end() : end].partition("\n")[2].strip()
        for mark, end in zip(marks, ends, strict=True)
    }
