"""What the packaged program holds: modules, libraries and files, taken from the table of runtimes.

The spec hands this to PyInstaller. What is imported plainly PyInstaller finds by itself; here is what is imported by
name (runtimes, verbs, Hub, migrations), what engines load at run time, and what must not come along.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePath
from types import MappingProxyType

from fluid_server.runtimes.table import RUNTIMES, Entry
from scripts.bundle.distributions import closure, missing, modules_of, modules_of_others

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "fluid_server"
PROGRAM = "fluid-server"
NOBODY_NEEDS = frozenset(
    {
        "openvino-telemetry",  # we keep OpenVINO from importing it: it tells its makers of every import
        "hf-xet",  # the Hub's library downloads by it; we download by ourselves (catalog/hub.py)
    }
)
DEMO_MODELS = ("llm/fluid-tiny-ov", "llm/fluid-tiny-gguf", "whisper/fluid-tiny-whisper-ov")
QNN_DEMO_MODEL = "whisper/fluid-tiny-whisper-qnn"

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "native": "llama.cpp as compiled here (llama-cpp-python) in place of xllamacpp",
        "qnn": "onnxruntime, for Whisper on Qualcomm's NPU",
        "postgres": "psycopg, for a database of PostgreSQL",
    }
)
"""What a build may hold besides: extras of the package, each left out unless it is asked for."""

INSTEAD: Mapping[str, str] = MappingProxyType({"native": "xllamacpp"})
"""The package whose place an extra takes: the second engine for one format would never be used."""

LEFT_OUT = (
    # The standard library's that no server needs. GNU readline is under GPL-3: it would put the whole under it.
    "readline", "curses", "tkinter", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data", "test",
    # Converters of other frameworks' models; the catalog has only OpenVINO's own format for OpenVINO.
    "openvino.tools", "openvino.torch", "openvino.frontend.jax", "openvino.frontend.onnx", "openvino.frontend.paddle",
    "openvino.frontend.pytorch", "openvino.frontend.tensorflow",
    # Of the tokenizers only the library is loaded, by openvino_genai.
    "openvino_tokenizers.cli_tools",
    # Tests and tools of the packages.
    "onnxruntime.tools", "onnxruntime.quantization", "onnxruntime.transformers", "onnxruntime.datasets",
    "numpy.f2py", "numpy.testing", "sqlalchemy.testing", "alembic.testing", "huggingface_hub.cli",
)  # fmt: skip

UNUSED_LIBRARIES = tuple(
    f"openvino_{name}_frontend" for name in ("jax", "onnx", "paddle", "pytorch", "tensorflow", "tensorflow_lite")
)
"""Libraries that read other frameworks' models: 19 MB. The IR frontend stays."""

OF_THE_SYSTEM = ("libmvec.so",)
"""Parts of the C library that PyInstaller takes for a library of its own right: they must be the running machine's."""

SHARED = (".so", ".pyd", ".dll", ".dylib")
LIBRARIES = ("*.dll", "*.dylib", "*.so", "*.so.*")

STRIPPED = ("xllamacpp.", "libpython3.")
"""Libraries with symbols that only a debugger reads: 98 MB. Others are left as their makers patched them: OpenVINO's do
not load any more once they are stripped."""

DEVELOPMENT = ("*.pyi", "*.pc", "*.h", "*.hpp", "*.cmake", "include", "cmake", "py.typed", "samples", "tests")
"""Files beside an engine that only who compiles against it needs."""

OF_THE_INSTALLER = ("direct_url.json", "uv_build.json", "uv_cache.json", "INSTALLER", "REQUESTED")
"""Metadata of how a package came to this machine, the folder that it was built in among it."""

LATE = (
    "fluid_server",
    "alembic",
    "huggingface_hub",
    "httpx2",
    "httpcore2",
    "anyio._backends",
    "uvicorn",
    "websockets",
)
"""Packages that import parts of themselves by name."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What PyInstaller is told. ``late`` and ``engines`` are packages to collect whole, ``modules`` single modules;
    ``metadata`` are packages whose version is asked for at run time; ``files`` are pairs of source and folder."""

    modules: tuple[str, ...]
    late: tuple[str, ...]
    engines: tuple[str, ...]
    excludes: tuple[str, ...]
    metadata: tuple[str, ...]
    files: tuple[tuple[Path, str], ...]


def contents(extras: frozenset[str] = frozenset(), *, models: bool = True) -> Contents:
    """Everything, for a program with these of EXTRAS. Errors: LookupError for an extra whose package is not here."""
    inside = packages(extras)
    entries = [entry for entry in RUNTIMES.values() if not entry.packages or set(entry.packages) & inside]
    engines = {name for entry in entries for name in engine_packages(entry, inside)}
    engines |= inside - closure(PROGRAM)  # what an extra brings besides: plug-ins, which engines find by themselves
    return Contents(
        modules=tuple(sorted({name for entry in entries for name in modules_of_entry(entry)})),
        late=LATE,
        engines=tuple(sorted(modules_of(engines))),
        excludes=tuple(sorted({*LEFT_OUT, *modules_of_others(inside)})),
        metadata=tuple(sorted(inside)),
        files=tuple(_files((*DEMO_MODELS, *([QNN_DEMO_MODEL] if "qnn" in extras else [])) if models else ())),
    )


def packages(extras: frozenset[str] = frozenset()) -> frozenset[str]:
    """The packages inside the program. Errors: LookupError that says how to install what is not here."""
    for extra in sorted(extras):
        if lacking := missing(PROGRAM, extra):
            raise LookupError(f"{', '.join(lacking)} is not installed here: uv sync --extra {extra}")
    named = ",".join(sorted(extras))
    without = NOBODY_NEEDS.union(INSTEAD[extra] for extra in extras if extra in INSTEAD)
    return closure(f"{PROGRAM}[{named}]" if named else PROGRAM, without=without)


def engine_packages(entry: Entry, inside: Collection[str]) -> frozenset[str]:
    """The package that a runtime would use, and what is here only for its sake: these are collected whole."""
    chosen = next((name for name in entry.packages if name in inside), None)
    if chosen is None:
        return frozenset()
    every = {name for one in RUNTIMES.values() for name in one.packages}
    return closure(chosen, without=NOBODY_NEEDS) - closure(PROGRAM, without=every)


def modules_of_entry(entry: Entry) -> Iterator[str]:
    """The modules of ours that the table names by text."""
    for target in (entry.target, entry.devices, entry.remark):
        if target is not None:
            yield target.partition(":")[0]


def submodules(package: str) -> Iterator[str]:
    """A package's modules, by its files: engines are not imported to be packed."""
    spec = find_spec(package)
    for place in (spec.submodule_search_locations if spec else None) or ():
        for file in sorted(Path(place).rglob("*")):
            inner = file.relative_to(place)
            name = ".".join((package, *inner.parent.parts, file.name.partition(".")[0])).removesuffix(".__init__")
            if file.suffix in (".py", *SHARED) and is_module(name) and not is_left_out(name):
                yield name


def beside_package(package: str) -> Iterator[Path]:
    """The libraries that a wheel for Windows keeps in a folder beside its package, ``package.libs``.

    The package looks for the folder; elsewhere its libraries name their own, which PyInstaller follows.
    """
    spec = find_spec(package) if sys.platform == "win32" else None
    for place in (spec.submodule_search_locations if spec else None) or ():
        yield from sorted(Path(place).with_name(f"{package}.libs").glob("*"))


def is_module(name: str) -> bool:
    """Whether it can be imported: a folder ``test-data`` or a library ``libfoo`` with a version cannot, or need not."""
    last = name.rpartition(".")[2]
    return all(part.isidentifier() for part in name.split(".")) and not last.startswith("lib")


def is_left_out(module: str) -> bool:
    """Whether a module, or a package that it is in, stays out."""
    return any(f"{module}.".startswith(f"{one}.") for one in LEFT_OUT)


def is_unused(library: str) -> bool:
    """Whether a library stays out: another framework's frontend, or the system's. ``library`` is where it would be."""
    place = PurePath(library)
    if is_left_out(".".join((*place.parent.parts, place.name.partition(".")[0]))):
        return True
    return any(name in place.name for name in UNUSED_LIBRARIES) or place.name.startswith(OF_THE_SYSTEM)


def _files(models: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """What is read as files: pages, migrations, weights and licences; and the demo models."""
    yield PACKAGE / "web", "fluid_server/web"
    yield PACKAGE / "store" / "migrations", "fluid_server/store/migrations"
    yield PACKAGE / "content" / "silero_vad.npz", "fluid_server/content"
    yield PACKAGE / "content" / "silero_vad.LICENSE", "fluid_server/content"
    for name in models:
        yield ROOT / "models" / name, f"models/{name}"
