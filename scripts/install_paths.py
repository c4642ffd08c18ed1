"""Try every way to install that the README names, each in a fresh folder, and print what came of it.

  uv run scripts/install_paths.py                     all ways but those that compile llama.cpp
  uv run scripts/install_paths.py --native            those too: minutes, and a C++ compiler
  uv run scripts/install_paths.py --only pip uv-tool  only these
  uv run scripts/install_paths.py --wheel FILE        of a wheel that is built already

It needs the network, and is run by hand and nightly (install-paths.yml), not by the tests.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # scripts is no package that is installed

from scripts.interrupted import alone, ends_in_a_line  # noqa: E402 - after the path is set
from scripts.paths.place import Failed, Place, can_hide, program_in  # noqa: E402
from scripts.paths.trial import chats, runtimes, says_what_to_do  # noqa: E402

PROGRAM = "fluid-server"
MODELS = ROOT / "models"
OPENMP = ("libgomp.so.1", "libgomp.so.1.0.0")
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++", "c89", "c99")


@dataclass(frozen=True)
class Material:
    """What is installed: our wheel and source archive."""

    wheel: Path
    source: Path | None


@dataclass(frozen=True)
class Way:
    """A way to install. ``trial`` installs in a place and says in words what works; ``compiles`` takes minutes."""

    name: str
    trial: Callable[[Place, Material], str]
    compiles: bool = False
    hides: tuple[str, ...] = ()


def clone(place: Place, _: Material) -> str:
    """A clone, and ``uv run``."""
    place.run("git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), "clone")
    inside = Place(place.folder / "clone")
    inside.run("uv", "run", "--no-dev", PROGRAM, "--version")
    return works(inside, program_in(inside.folder / ".venv", PROGRAM))


def uv_tool(place: Place, material: Material) -> str:
    """``uv tool install``."""
    own = Place(
        place.folder,
        settings={"UV_TOOL_DIR": str(place.folder / "tools"), "UV_TOOL_BIN_DIR": str(place.folder / "programs")},
    )
    own.run("uv", "tool", "install", "--quiet", material.wheel)
    return works(own, program_in(place.folder / "tools" / PROGRAM, PROGRAM))


def pipx(place: Place, material: Material) -> str:
    """pipx, in an environment of its own."""
    own = Place(
        place.folder, settings={"PIPX_HOME": str(place.folder / "pipx"), "PIPX_BIN_DIR": str(place.folder / "programs")}
    )
    own.run("uv", "tool", "run", "pipx", "install", material.wheel)
    return works(own, program_in(place.folder / "pipx" / "venvs" / PROGRAM, PROGRAM))


def pip(place: Place, material: Material) -> str:
    """pip in a virtual environment."""
    return works(place, with_pip(place, str(material.wheel)))


def source(place: Place, material: Material) -> str:
    """pip, from the source archive."""
    if material.source is None:
        return "not tried: there is no source archive beside the wheel"
    return works(place, with_pip(place, str(material.source)))


def native(place: Place, material: Material) -> str:
    """pip with the extra that compiles llama.cpp."""
    program = with_pip(place, f"{material.wheel}[native]")
    place.run(program_in(program.parents[1], "python"), "-c", "import llama_cpp")
    return works(place, program)


def without_compiler(place: Place, material: Material) -> str:
    """The same where there is no compiler: refused by pip, and a plain installation works."""
    try:
        with_pip(place, f"{material.wheel}[native]")
    except Failed as refusal:
        reason = next((line.strip() for line in refusal.said.splitlines() if "COMPILER" in line), str(refusal))
    else:
        raise Failed(["pip"], 0, "it compiled something, although there is no compiler")
    return f"the extra is refused ({reason}); without it: {works(place, with_pip(place, str(material.wheel)))}"


def without_openmp(place: Place, material: Material) -> str:
    """A slim Linux: llama.cpp is not here, and the doctor says what to install."""
    program = with_pip(place, str(material.wheel))
    said = runtimes(place, program)["llamacpp"]
    if "apt-get install libgomp1" not in said:
        raise Failed([str(program)], 0, f"the doctor did not say what to install: {said}")
    return f"{works(place, program)}; of llama.cpp the doctor says: {said}"


WAYS = (
    Way("uv-run", clone),
    Way("uv-tool", uv_tool),
    Way("pipx", pipx),
    Way("pip", pip),
    Way("source", source),
    Way("no-libgomp", without_openmp, hides=OPENMP),
    Way("no-compiler", without_compiler, hides=COMPILERS),
    Way("native", native, compiles=True),
)


def with_pip(place: Place, what: str) -> Path:
    """Install into a fresh environment with its own pip; returns the program."""
    environment = place.folder / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    place.run(sys.executable, "-m", "venv", environment)
    place.run(program_in(environment, "python"), "-m", "pip", "install", "--quiet", what)
    return program_in(environment, PROGRAM)


def works(place: Place, program: Path) -> str:
    """Chat with every engine that is here, and what a server without models says. Errors: Failed."""
    answers = chats(place, program, MODELS)
    silent = [name for name, answer in answers.items() if not answer]
    if silent or not answers:
        raise Failed([str(program)], 0, f"no answer from {', '.join(silent) or 'any engine'}")
    says_what_to_do(place, program)
    return f"{' and '.join(answers)} answer"


def tried(way: Way, material: Material, folder: Path) -> tuple[bool, str]:
    """Whether it went well, and what came of it."""
    if way.hides and (reason := can_hide()):
        return True, f"not tried: {reason}"
    place = Place(folder / way.name, without=tuple(_files(way.hides)))
    place.folder.mkdir()
    try:
        return True, way.trial(place, material)
    except (Failed, OSError, ValueError, subprocess.SubprocessError) as error:
        return False, f"FAILED: {error}"


def _files(names: Sequence[str]) -> list[Path]:
    """Where the system has these: programs, and libraries."""
    folders = [Path("/usr/bin"), *Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib64")]
    return [folder / name for folder in folders for name in names if (folder / name).exists()]


def build(folder: Path) -> Material:
    """Our wheel and source archive, of this tree."""
    alone(["uv", "build", "--quiet", "--out-dir", str(folder), str(ROOT)], ROOT).check_returncode()
    return material_of(next(folder.glob("*.whl")))


def material_of(wheel: Path) -> Material:
    """A wheel, with the source archive that lies beside it."""
    return Material(wheel.resolve(), next((one.resolve() for one in wheel.parent.glob("*.tar.gz")), None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try them; the exit code is 1 where one of them failed."""
    given = parser().parse_args(arguments)
    ways = [way for way in WAYS if (way.name in given.only if given.only else given.native or not way.compiles)]
    good = True
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        material = material_of(given.wheel) if given.wheel else build(folder / "dist")
        for way in ways:
            began = time.monotonic()
            well, says = tried(way, material, folder)
            good &= well
            print(f"{way.name:<12} {time.monotonic() - began:5.0f} s  {says}", flush=True)
            shutil.rmtree(folder / way.name, ignore_errors=True)
    return 0 if good else 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--only", nargs="+", choices=[way.name for way in WAYS], metavar="WAY", help="try only these")
    top.add_argument("--wheel", type=Path, help="a wheel that is built already")
    top.add_argument("--native", action="store_true", help="try also what compiles llama.cpp")
    return top


if __name__ == "__main__":
    sys.exit(ends_in_a_line("install_paths", main))
