"""The design's *Never* list, held against the source."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "fluid_server"
ENGINES = {
    "openvino",
    "openvino_genai",
    "openvino_tokenizers",
    "xllamacpp",
    "llama_cpp",
    "onnxruntime",
    "onnxruntime_qnn",
    "torch",
}
NATIVE = ENGINES | {"av", "numpy", "tokenizers"}
FLOORS = [
    {"shapes", "__init__"},
    {"errors", "types", "log", "log_file", "metrics", "machine", "places", "sources", "spelling"},
    {"libraries"},
    {"config"},
    {"catalog", "content", "store"},
    {"runtimes"},
    {"workers"},
    {"managers"},
    {"api"},
    {"app"},
    {"cli"},
    {"__main__"},
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


@cache
def tree_of(file: Path) -> ast.Module:
    """The source, to be read and not to be changed."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """The modules that a file imports, as written."""
    tree = tree_of(file)
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(file: Path) -> set[str]:
    """The parts of our own package that a file imports: ``api.errors`` and the like."""
    found = {name.removeprefix("fluid_server").lstrip(".") for name in imports(file) if name.startswith("fluid_server")}
    return {name for name in found if is_module(name)}


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return name != "" and (path.with_suffix(".py").is_file() or path.is_dir())


def outside(file: Path) -> set[str]:
    """The third-party and standard packages that a file imports."""
    return {name.split(".")[0] for name in imports(file)} - {"fluid_server", "__future__"}


def floor(name: str) -> int:
    part = name.split(".", maxsplit=1)[0]
    return next(level for level, parts in enumerate(FLOORS) if part in parts)


def part(name: str) -> list[Path]:
    """All files of a folder, or the one file."""
    return [file for file in MODULES if name_of(file).split(".")[0] == name]


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_only_go_down(file: Path) -> None:
    here = name_of(file)
    for target in ours(file):
        same_folder = target.split(".")[0] == here.split(".")[0]
        assert same_folder or floor(target) < floor(here), f"{here} imports {target}"


def test_only_serve_imports_the_app_and_only_main_the_cli() -> None:
    for file in MODULES:
        if "app" in ours(file):
            assert name_of(file) == "cli.serve"
        if any(name.startswith("cli") for name in ours(file)):
            assert name_of(file) == "__main__" or name_of(file).startswith("cli.")


@pytest.mark.parametrize("name", ["shapes", "types", "errors"])
def test_the_ground_floor_imports_nothing_but_the_standard_library(name: str) -> None:
    for file in part(name):
        assert {target.split(".")[0] for target in ours(file)} <= {"shapes", name}, name_of(file)
        assert outside(file) <= set(sys.stdlib_module_names), name_of(file)


@pytest.mark.parametrize("name", ["catalog", "content", "store"])
def test_neighbours_do_not_know_each_other(name: str) -> None:
    others = {"catalog", "content", "store"} - {name}
    for file in part(name):
        assert not {target.split(".")[0] for target in ours(file)} & others, name_of(file)


def test_runtimes_and_the_loop_know_nothing_of_the_server() -> None:
    for file in [*part("runtimes"), PACKAGE / "workers" / "loop.py", PACKAGE / "workers" / "protocol.py"]:
        assert not {target.split(".")[0] for target in ours(file)} & {"api", "managers", "store", "config"}
        assert not outside(file) & {"fastapi", "pydantic", "starlette"}


def test_one_runtime_never_imports_another() -> None:
    shared = {"base", "text", "text_plan", "text_prompt", "text_answer", "one_at_a_time", "table"}
    shared |= {"hearing", "hearing_plan", "embedding", "embedding_batch"}
    for file in part("runtimes"):
        backend = file.stem.split("_")[0]
        for target in ours(file):
            if target.startswith("runtimes."):
                other = target.split(".")[1]
                assert other in shared or other.split("_")[0] == backend, f"{file.name} imports {other}"


@pytest.mark.parametrize("name", ["managers", "api", "cli", "workers"])
def test_nothing_above_imports_a_concrete_runtime(name: str) -> None:
    for file in part(name):
        concrete = {one for one in ours(file) if one.startswith("runtimes.")} - {"runtimes.table", "runtimes.base"}
        assert not concrete, f"{name_of(file)} imports {concrete}"


def test_resources_of_the_api_do_not_know_each_other() -> None:
    files = sorted((PACKAGE / "api" / "v1").glob("*.py"))
    for file in files:
        assert not {target for target in ours(file) if target.startswith("api.v1.")}, file.name


def routes(file: Path) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            names = {ast.unparse(decorator).split(".")[0] for decorator in node.decorator_list}
            if "router" in names:
                yield node


def test_a_route_has_no_try() -> None:
    found = [route for file in part("api") for route in routes(file)]
    assert len(found) >= 8
    for route in found:
        assert not any(isinstance(node, ast.Try) for node in ast.walk(route)), route.name


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_engines_are_imported_late_and_only_in_the_files_that_bear_their_name(file: Path) -> None:
    assert not outside_top_level(file) & ENGINES
    backends = {
        "openvino": "openvino", "openvino_genai": "openvino", "xllamacpp": "llamacpp", "llama_cpp": "llamacpp",
        "onnxruntime": "qnn", "onnxruntime_qnn": "qnn",
    }  # fmt: skip
    for engine in outside(file) & ENGINES:
        assert file.parent.name == "runtimes"
        assert file.stem.startswith(backends[engine])


def outside_top_level(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file, top_level_only=True)}


def test_only_the_hub_module_imports_huggingface_hub() -> None:
    assert {name_of(file) for file in MODULES if "huggingface_hub" in outside(file)} <= {"catalog.hub"}


def test_only_the_store_s_own_module_and_its_migrations_import_the_database_library() -> None:
    libraries = {"sqlalchemy", "alembic", "psycopg"}
    found = {name_of(file) for file in MODULES if outside(file) & libraries}
    assert {name for name in found if not name.startswith("store.migrations.")} == {"store.db", "store.schema"}
    assert "sqlalchemy" not in outside(PACKAGE / "store" / "schema.py")


@cache
def code_of(file: Path) -> str:
    """The source without docstrings and comments."""
    return ast.unparse(_without_docstrings(ast.parse(file.read_text(encoding="utf-8"))))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_only_sse_writes_data_lines() -> None:
    assert [name_of(file) for file in MODULES if re.search(r"""['"]data: ?""", code_of(file))] == ["api.sse"]


def test_only_config_reads_the_environment() -> None:
    pattern = re.compile(r"os\.(environ|getenv|putenv)|from os import .*environ")
    assert [name_of(file) for file in MODULES if pattern.search(code_of(file))] == ["config"]


def test_only_the_error_table_knows_status_codes_of_failures() -> None:
    pattern = re.compile(r"\b(4\d\d|5\d\d)\b|HTTPStatus\.(?!OK\b)|HTTPException\(")
    found = {name_of(file) for file in part("api") if pattern.search(code_of(file))}
    assert found == {"api.errors"}


def test_broad_excepts_are_few() -> None:
    count = 0
    for file in MODULES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                count += caught == "Exception"
                assert caught != "BaseException" or any(isinstance(one, ast.Raise) for one in node.body), name_of(file)
    assert count <= 3


def test_no_drawer_of_everything() -> None:
    assert not {file.stem for file in MODULES} & {"utils", "util", "helpers", "common", "core", "misc"}


def test_every_folder_says_in_one_sentence_what_it_answers() -> None:
    for file in PACKAGE.rglob("__init__.py"):
        docstring = ast.get_docstring(tree_of(file))
        assert docstring, name_of(file)


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    return done.stdout


def test_importing_the_app_imports_no_native_engine() -> None:
    loaded = json.loads(in_a_fresh_python("import json, sys, fluid_server.app; print(json.dumps(list(sys.modules)))"))
    assert not {name.split(".")[0] for name in loaded} & NATIVE


def test_the_app_works_where_no_engine_is_installed() -> None:
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(NATIVE)!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import fluid_server.app, fluid_server.cli.main
print(fluid_server.app.create_app.__name__)
"""
    assert in_a_fresh_python(code).strip() == "create_app"


def test_what_is_imported_before_the_server_listens_is_little() -> None:
    code = "import json, sys, fluid_server.cli.main, fluid_server.cli.serve; print(json.dumps(list(sys.modules)))"
    loaded = {name.split(".")[0] for name in json.loads(in_a_fresh_python(code))}
    assert not loaded & {"dotenv", "fastapi", "httpx2", "psutil", "rich", "sqlalchemy", "starlette", "websockets"}


def test_starting_as_a_worker_imports_nothing_of_the_server() -> None:
    code = "import json, sys, fluid_server.workers.loop; print(json.dumps(list(sys.modules)))"
    loaded = {name.split(".")[0] for name in json.loads(in_a_fresh_python(code))}
    assert not loaded & {"fastapi", "pydantic", "uvicorn", "starlette"}
