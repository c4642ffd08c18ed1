"""What is measured: each engine that is installed, with each model, through the server and alone."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from benchmarks.effort import Effort
from benchmarks.make_model import FOLDER, NAME
from benchmarks.peer import Peer
from benchmarks.server import ROOT, Server, chat
from fluid_server.runtimes.base import spare_threads

PARALLEL = 32  # places of a model: as many as the largest load has streams
CONTEXT = 1024  # tokens of one place
OPENVINO, PREBUILT, NATIVE = "OpenVINO", "llama.cpp prebuilt", "llama.cpp native"
TINY, LARGE = "tiny", "67 M"


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to run a model, by a package that must be installed; ``key`` is its name in engine_alone.py."""

    name: str
    key: str
    package: str
    models: dict[str, tuple[str, Path]]

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None


_OPENVINO_MODELS = {
    TINY: ("fluid-tiny-ov", ROOT / "models" / "llm" / "fluid-tiny-ov"),
    LARGE: (f"{NAME}-ov", FOLDER / "llm" / f"{NAME}-ov"),
}
_GGUF_MODELS = {
    TINY: ("fluid-tiny-gguf:F16", ROOT / "models" / "llm" / "fluid-tiny-gguf" / "fluid-tiny-F16.gguf"),
    LARGE: (f"{NAME}-gguf:F16", FOLDER / "llm" / f"{NAME}-gguf" / f"{NAME}-F16.gguf"),
}
ENGINES = (
    Engine(OPENVINO, "openvino", "openvino_genai", _OPENVINO_MODELS),
    Engine(PREBUILT, "prebuilt", "xllamacpp", _GGUF_MODELS),
    Engine(NATIVE, "native", "llama_cpp", _GGUF_MODELS),
)


def installed() -> list[Engine]:
    """The engines that can be measured here."""
    return [engine for engine in ENGINES if engine.installed]


def engines(effort: Effort) -> list[Engine]:
    """Those to measure: all that are here; quickly, those that the server chooses by itself."""
    here = installed()
    beaten = effort.quick and any(engine.name == NATIVE for engine in here)
    return [engine for engine in here if not (beaten and engine.name == PREBUILT)]


def models(effort: Effort) -> tuple[str, ...]:
    """Those to measure, where the small one alone tells something."""
    return (TINY,) if effort.quick else (LARGE, TINY)


@contextmanager
def serving(engine: Engine, model: str, *flags: str) -> Generator[Server]:
    """A server with a model that this engine and no other runs, loaded and asked once."""
    with _without_native(engine) as hidden:
        server = Server(
            *("--model-path", str(ROOT / "models" if model == TINY else FOLDER)),
            *("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning"),
            *("--threads", str(spare_threads()), "--parallel", str(PARALLEL), "--context-length", str(CONTEXT)),
            *flags,
            path=hidden,
        )
        try:
            asyncio.run(chat(server.url, body(engine.models[model][0], contents(1, 1)[0], 8)))
            _check_engine(worker(server), engine)
            yield server
        finally:
            server.stop()


@contextmanager
def alone(engine: Engine, model: str) -> Generator[Peer]:
    """The engine in a process of its own, with the same threads, places and context."""
    _, path = engine.models[model]
    numbers = (str(number) for number in (spare_threads(), PARALLEL, CONTEXT))
    peer = Peer("engine_alone.py", engine.key, path, *numbers)
    try:
        yield peer
    finally:
        peer.stop()


@contextmanager
def the_client() -> Generator[Peer]:
    """A process for many streams at once: client.py."""
    client = Peer("client.py")
    try:
        yield client
    finally:
        client.stop()


@contextmanager
def _without_native(engine: Engine) -> Generator[Path | None]:
    """A folder that, first on a Python's path, hides llama-cpp-python, which the server prefers where it is."""
    if engine.name != PREBUILT or not find_spec("llama_cpp"):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        hiding = 'raise ImportError("hidden: the prebuilt driver is measured")\n'
        (Path(folder) / "llama_cpp.py").write_text(hiding, encoding="utf-8")
        yield Path(folder)


def worker(server: Server) -> psutil.Process:
    """The process of the one model that is loaded."""
    (pid,) = [model["pid"] for model in server.get("/health")["models"].values() if model["pid"]]
    return psutil.Process(pid)


def _check_engine(process: psutil.Process, engine: Engine) -> None:
    """Errors: RuntimeError where another engine than the one to be measured is in the worker's memory."""
    if sys.platform == "darwin":
        return  # which does not tell what a process has loaded
    files = [Path(one.path).parts for one in process.memory_maps()]
    if not any(engine.package in parts for parts in files):
        raise RuntimeError(f"the worker has not loaded {engine.package}")


# --- Prompts -------------------------------------------------------------------------------------------------

WORDS = "the old green house at the river was quiet and a small bird sang near the open window every morning"


def contents(count: int, first: int, words: int = 0) -> list[str]:
    """That many messages, each with another beginning: next to nothing is cached. ``words`` make them longer."""
    more = " ".join((WORDS.split() * (words // 20 + 1))[:words])
    # Backwards, so that the digits that differ come first.
    return [f"{f'{number:06d}'[::-1]}: go on. {more}".rstrip() for number in range(first, first + count)]


def rendered(content: str) -> str:
    """What the demo models' chat template makes of one message; both models have the same one."""
    return f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"


def body(model: str, content: str, tokens: int) -> dict[str, Any]:
    """A chat of exactly this many tokens."""
    messages = [{"role": "user", "content": content}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}


def ask_alone(peer: Peer, messages: Sequence[str], tokens: int) -> Any:
    """What the engine alone says of these messages, run at once; see engine_alone.py."""
    return peer.ask({"prompts": [rendered(one) for one in messages], "tokens": tokens})
