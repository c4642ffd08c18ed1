"""The workflows, which run on GitHub alone: what they call is there, and takes the flags that they give."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
OF_OTHERS = ("actions/", "astral-sh/")
CALL = re.compile(r"uv run (?P<before>(?:--[\w-]+ )*)(?P<script>scripts/\w+\.py)(?P<words>[^\n)>|;]*)")
FLAG = re.compile(r"--[a-z][a-z-]+")


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(file)["jobs"]
    return found


def steps(file: Path) -> Iterator[dict[str, Any]]:
    if file in ACTIONS:
        yield from read(file)["runs"]["steps"]
    else:
        yield from (step for job in jobs(file).values() for step in job["steps"])


def calls() -> Iterator[tuple[str, str]]:
    """Each script that is called, with its words."""
    for file in (*WORKFLOWS, *ACTIONS):
        for step in steps(file):
            for found in CALL.finditer(step.get("run", "")):
                yield found["script"], found["words"].strip()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_nobody_may_more_than_read_but_who_drafts_a_release(file: Path) -> None:
    assert read(file)["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in jobs(file).items() if "permissions" in job}
    allowed = {"contents": "write", "id-token": "write", "attestations": "write"}
    assert more == ({"draft": allowed} if file.stem == "release" else {})


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_ends_in_time_and_leaves_no_key_behind(file: Path) -> None:
    assert all(job["timeout-minutes"] <= 90 for job in jobs(file).values())
    assert "concurrency" in read(file)
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_actions_are_githubs_uvs_or_our_own(file: Path) -> None:
    for step in steps(file):
        used = step.get("uses", "./")
        if used.startswith("./"):
            assert (ROOT / used / "action.yml").is_file() or used == "./"
        else:
            assert used.startswith(OF_OTHERS)
            assert re.search(r"@v\d+$", used)


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_nobody_asks_for_the_lock_file_which_a_clone_has_not(file: Path) -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not [step for step in steps(file) if re.search(r"uv .*--(locked|frozen)\b", step.get("run", ""))]


def test_scripts_are_called_at_all() -> None:
    called = {script for script, _ in calls()}
    assert called >= {f"scripts/{name}.py" for name in ("build", "check", "install_paths", "native_flags", "package")}


@pytest.mark.parametrize(("script", "words"), sorted(set(calls())), ids=lambda text: text.replace("/", " "))
def test_a_script_that_is_called_is_there_and_knows_the_flags(script: str, words: str) -> None:
    flags = set(FLAG.findall(words))
    if not flags:
        assert (ROOT / script).is_file()
        return
    verb = words.split()[:1] if not words.startswith("-") and script == "scripts/package.py" else []
    asked = [sys.executable, str(ROOT / script), *verb, "--help"]
    told = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True, timeout=60).stdout
    assert flags <= set(FLAG.findall(told))


def test_nobody_asks_for_a_lock_that_the_repository_has_not() -> None:
    """A fresh clone has no uv.lock; `exclude-newer` in pyproject.toml pins instead."""
    assert not [file for file in (*WORKFLOWS, *ACTIONS) if re.search(r"--(locked|frozen)\b", file.read_text("utf-8"))]


def test_a_release_has_a_program_for_every_platform() -> None:
    matrix = jobs(ROOT / ".github" / "workflows" / "release.yml")["program"]["strategy"]["matrix"]["include"]
    names = {one["name"] for one in matrix}
    assert names == {"windows-x64", "windows-arm64", "linux-x64", "linux-arm64", "macos-arm64"}


def test_only_a_tag_makes_a_draft() -> None:
    draft = jobs(ROOT / ".github" / "workflows" / "release.yml")["draft"]
    assert draft["if"] == "github.ref_type == 'tag'"
    assert set(draft["needs"]) == {"python", "program"}
    assert [step for step in draft["steps"] if "gh release create" in step.get("run", "") and "--draft" in step["run"]]
