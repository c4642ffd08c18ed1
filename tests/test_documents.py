"""What people read: links lead somewhere, and the README's tree is the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for folder in (".", "docs", "src", "scripts", "benchmarks", "models")
    for page in (ROOT / folder).glob("*.md" if folder in (".", "models") else "**/*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"```.*?```", re.DOTALL)


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Where a page leads to within the repository: path and anchor."""
    for found in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", found[1]):
            path, _, anchor = found[1].partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{path}#{anchor}"


def test_every_guide_and_concept_is_in_the_table_of_contents() -> None:
    there = {path for path, _ in links(ROOT / "docs" / "README.md")}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - there == {"README.md"}


def test_the_tree_in_the_readme_is_the_tree() -> None:
    block = re.search(r"^src/fluid_server/ .*?(?=^benchmarks/)", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    assert block
    named = set(re.findall(r"^  (\w+(?:\.py|/)) ", block[0], re.MULTILINE))
    package = ROOT / "src" / "fluid_server"
    folders = {f"{one.name}/" for one in package.iterdir() if one.is_dir() and one.name[0].isalpha()}
    assert named == folders | {one.name for one in package.glob("[!_]*.py")}
