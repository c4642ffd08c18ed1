"""What goes into the packaged program, and what does not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from fluid_server.runtimes.table import RUNTIMES
from scripts.bundle.contents import (
    EXTRAS,
    LATE,
    LEFT_OUT,
    beside_package,
    contents,
    is_left_out,
    is_unused,
    packages,
    submodules,
)
from scripts.bundle.distributions import closure, missing, modules_of, modules_of_others

DEVELOPMENT = {"pytest", "mypy", "PyInstaller", "schemathesis", "openai", "hypothesis", "jsonschema"}


def test_the_table_of_runtimes_says_which_modules_and_engines_go_in() -> None:
    inside = contents()
    assert {"fluid_server.runtimes.openvino_llm", "fluid_server.runtimes.llamacpp"} <= set(inside.modules)
    for entry in RUNTIMES.values():
        if "openvino-genai" in entry.packages and find_spec("openvino_genai"):
            assert {entry.target.partition(":")[0], (entry.devices or "").partition(":")[0]} <= set(inside.modules)
            assert {"openvino", "openvino_genai", "openvino_tokenizers"} <= set(inside.engines)


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp has no wheel for this platform")
def test_an_engine_is_collected_whole_and_what_others_need_too_is_not() -> None:
    inside = contents()
    assert "xllamacpp" in inside.engines
    assert not set(inside.engines) & {"numpy", "fastapi", "jinja2"}


def test_tools_for_building_and_testing_are_kept_out() -> None:
    inside = contents()
    assert set(inside.excludes) >= DEVELOPMENT
    assert not set(inside.metadata) & {name.lower() for name in DEVELOPMENT}


def test_nothing_that_the_program_needs_is_kept_out() -> None:
    needed = modules_of(packages())
    assert {"fastapi", "pydantic", "uvicorn", "sqlalchemy", "av", "numpy"} <= needed
    assert not needed & set(contents().excludes)


def test_what_calls_home_and_what_is_under_the_gpl_is_kept_out() -> None:
    inside = contents()
    assert {"openvino_telemetry", "readline"} <= set(inside.excludes)
    assert "openvino-telemetry" not in inside.metadata


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime has no wheel for this platform")
def test_an_extra_goes_in_only_where_it_is_asked_for() -> None:
    plain, more = contents(), contents(frozenset({"qnn"}))
    assert "onnxruntime" in plain.excludes
    assert "fluid_server.runtimes.qnn_whisper" not in plain.modules
    assert "onnxruntime" in more.engines
    assert "fluid_server.runtimes.qnn_whisper" in more.modules
    assert {folder for _, folder in more.files} - {folder for _, folder in plain.files} == {
        "models/whisper/fluid-tiny-whisper-qnn"
    }


@pytest.mark.skipif(find_spec("llama_cpp") is not None, reason="the extra is installed here")
def test_an_extra_that_is_not_installed_is_refused_with_what_installs_it() -> None:
    assert "llama-cpp-python" in missing("fluid-server", "native")
    with pytest.raises(LookupError, match="uv sync --extra native"):
        packages(frozenset({"native"}))


def test_every_extra_of_a_build_is_one_of_the_package() -> None:
    assert all(closure(f"fluid-server[{extra}]") >= closure("fluid-server") for extra in EXTRAS)
    assert closure("fluid-server[postgres]") > closure("fluid-server")


def test_a_package_is_followed_to_all_that_it_needs_and_no_further() -> None:
    found = closure("fastapi")
    assert {"fastapi", "starlette", "pydantic", "pydantic-core", "anyio"} <= found
    assert "uvicorn" not in found
    assert "pydantic" not in closure("fastapi", without={"pydantic"})
    assert closure("no-such-package") == frozenset()


def test_a_module_belongs_to_the_others_only_if_no_package_inside_has_it() -> None:
    assert "numpy" in modules_of({"numpy"})
    assert "pytest" in modules_of_others({"numpy"})
    assert "numpy" not in modules_of_others({"numpy"})


def test_every_file_that_goes_in_is_there() -> None:
    inside = contents()
    assert all(source.exists() for source, _ in inside.files)
    folders = {folder for _, folder in inside.files}
    assert {"fluid_server/web", "fluid_server/store/migrations", "models/llm/fluid-tiny-ov"} <= folders
    assert not any(folder.startswith("models/") for _, folder in contents(models=False).files)


def test_the_packages_that_import_by_name_are_the_program_s() -> None:
    named = {name.partition(".")[0] for name in LATE} - {"fluid_server"}  # which is here without a list of its files
    assert named <= modules_of(packages())


def test_modules_are_listed_without_importing_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__init__.py", "part.py", "inner/__init__.py", "native.abi3.so", "libs/libengine.so", "data-set/x.py"):
        file = tmp_path / "engine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("raise AssertionError('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(submodules("engine")) == ["engine", "engine.inner", "engine.native", "engine.part"]


def test_on_windows_the_libraries_beside_a_package_go_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("engine/__init__.py", "engine.libs/part-0123.dll", "engine.libs/.load-order"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("scripts.bundle.contents.sys.platform", "win32")
    assert [file.name for file in beside_package("engine")] == [".load-order", "part-0123.dll"]
    monkeypatch.setattr("scripts.bundle.contents.sys.platform", "linux")
    assert not list(beside_package("engine"))


@pytest.mark.parametrize("name", ["openvino.tools.ovc", "readline", "sqlalchemy.testing"])
def test_a_module_of_what_is_left_out_is_left_out(name: str) -> None:
    assert is_left_out(name)
    assert not is_left_out(f"{name.split('.', maxsplit=1)[0]}_other")


def test_the_libraries_of_other_frameworks_and_of_the_c_library_stay_out() -> None:
    assert is_unused("openvino/libs/libopenvino_onnx_frontend.so.2641")
    assert is_unused("openvino/libs/openvino_pytorch_frontend.dll")
    assert is_unused("openvino/frontend/tensorflow/py_tensorflow_frontend.so")
    assert is_unused("libmvec.so.1")
    assert not is_unused("openvino/libs/libopenvino_ir_frontend.so.2641")
    assert not is_unused("openvino/libs/libopenvino_intel_cpu_plugin.so")


def test_what_is_left_out_is_imported_by_nothing_of_ours() -> None:
    root = Path(__file__).parents[2] / "src"
    text = "\n".join(file.read_text(encoding="utf-8") for file in root.rglob("*.py"))
    assert not [name for name in LEFT_OUT if f"import {name}\n" in text or f"from {name} " in text]
