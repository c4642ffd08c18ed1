"""The bill of materials: the packages in the program, none of the tools beside it, and who needs whom."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from fluid_server import __version__
from scripts.shipping.sbom import packages_in, sbom_of


def component(name: str, version: str) -> dict[str, Any]:
    return {"bom-ref": f"{name}=={version}", "name": name, "version": version, "type": "library"}


ENVIRONMENT = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"bom-ref": "root-component", "name": "fluid-server", "type": "application"}},
    "components": [
        component("Jinja2", "3.1.6"),
        component("pydantic_core", "2.1"),
        component("pytest", "9.0"),
        component("pyinstaller", "6.15"),
    ],
    "dependencies": [
        {"ref": "root-component", "dependsOn": ["Jinja2==3.1.6"]},
        {"ref": "Jinja2==3.1.6", "dependsOn": ["pydantic_core==2.1", "pytest==9.0"]},
        {"ref": "pytest==9.0", "dependsOn": ["Jinja2==3.1.6"]},
    ],
}
INSIDE = {"jinja2": "3.1.6", "pydantic-core": "2.1", "fluid-server": __version__}


def test_the_tools_of_the_build_stay_out_but_for_the_loader() -> None:
    names = [one["name"] for one in sbom_of(ENVIRONMENT, INSIDE)["components"]]
    assert names == ["CPython", "Jinja2", "pydantic_core", "pyinstaller"]


def test_the_program_has_its_version_and_its_python() -> None:
    made = sbom_of(ENVIRONMENT, INSIDE)
    assert made["metadata"]["component"]["version"] == __version__
    assert made["components"][0]["version"] == platform.python_version()
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")


def test_nothing_points_to_what_was_left_out() -> None:
    made = sbom_of(ENVIRONMENT, INSIDE)
    known = {one["bom-ref"] for one in made["components"]} | {"root-component"}
    graph = {one["ref"]: one.get("dependsOn", []) for one in made["dependencies"]}
    assert set(graph) <= known
    assert graph["Jinja2==3.1.6"] == ["pydantic_core==2.1"]
    assert graph["root-component"] == ["Jinja2==3.1.6", f"cpython=={platform.python_version()}"]


@pytest.mark.parametrize("strange", [{"jinja2": "3.0"}, {"leftover": "1"}])
def test_a_program_of_another_environment_is_not_described(strange: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=f"built in another: {next(iter(strange))} "):
        sbom_of(ENVIRONMENT, {**INSIDE, **strange})


def test_the_packages_are_read_from_the_program(tmp_path: Path) -> None:
    for name, version in (("Jinja2", "3.1.6"), ("pydantic_core", "2.1")):
        folder = tmp_path / "_internal" / f"{name.lower()}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    assert packages_in(tmp_path) == {"jinja2": "3.1.6", "pydantic-core": "2.1"}


def test_a_folder_without_packages_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scripts/build\.py"):
        packages_in(tmp_path)
