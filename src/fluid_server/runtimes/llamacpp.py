"""LlamaCppRuntime: GGUF models through llama.cpp, behind a small driver contract.

The native driver (llama-cpp-python's low-level API, compiled for the machine: the extra ``native``) is used whenever it
imports, the prebuilt one (the xllamacpp wheel) where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import ReportProgress, plain_reason
from fluid_server.runtimes.table import load_target
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions


@dataclass(frozen=True, slots=True)
class Way:
    """One way to llama.cpp: the modules that must import, the driver's class, who lists its devices, and who embeds."""

    modules: tuple[str, ...]
    driver: str
    devices: str
    embedder: str


HERE = "fluid_server.runtimes."
WAYS = (
    Way(
        ("llama_cpp", "llguidance"),
        HERE + "llamacpp_native:NativeDriver",
        HERE + "llamacpp_native:devices",
        HERE + "llamacpp_native_embedder:NativeEmbedder",
    ),
    Way(
        ("xllamacpp",),
        HERE + "llamacpp_prebuilt:PrebuiltDriver",
        HERE + "llamacpp_prebuilt:devices",
        HERE + "llamacpp_prebuilt_embedder:PrebuiltEmbedder",
    ),
)
"""The preferred one first."""


class Driver(Protocol):
    """What LlamaCppRuntime asks of llama.cpp, whichever way it is reached."""

    engine: str
    parallel: int
    context_length: int
    notes: tuple[str, ...]
    reserve_bytes: int  # of memory: taken only as conversations end
    steady: bool  # whether ``advance`` computes, and does not wait for what computes

    def __init__(self, spec: ModelSpec, options: RuntimeOptions) -> None:
        """Load the model. Errors: EngineFailed with the reason."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids; ``special`` adds BOS and the like as the model's vocabulary says."""

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, special tokens included. Errors: InvalidRequest for ids outside of the vocabulary."""

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Begin to generate."""

    def advance(self) -> list[Piece]:
        """What has come since the last call; waits up to 50 ms for the first piece."""

    def abandon(self, sequence: int) -> None:
        """From another thread: a sequence will be released; a step that works for it may end early."""

    def release(self, sequence: int) -> None:
        """Let go of a sequence, finished or not."""

    @property
    def leaving(self) -> int:
        """Sequences that were released and still hold a slot."""

    def close(self) -> None:
        """End the engine; nothing is running any more."""


class LlamaCppRuntime(TextRuntime):
    """A language model in GGUF."""

    name = "llamacpp"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the model with the first driver whose package is here."""
        progress("loading the weights", None)
        self._driver = driver(spec, options)
        self.steady = self._driver.steady
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=self._driver.parallel,
            engine=self._driver.engine,
            context_length=self._driver.context_length,
            notes=self._driver.notes,
            reserve_bytes=self._driver.reserve_bytes,
        )

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids."""
        return self._driver.encode(text, special=special)

    def decode(self, ids: list[int]) -> str:
        """Token ids to text."""
        return self._driver.decode(ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Begin to generate."""
        self._driver.start(sequence, prompt, plan)

    def advance(self) -> list[Piece]:
        """What has come since the last step."""
        return self._driver.advance()

    def leave(self, sequence: int) -> None:
        """Nobody waits for a sequence any more."""
        self._driver.abandon(sequence)

    def release(self, sequence: int) -> None:
        """Let go of a sequence."""
        self._driver.release(sequence)

    @property
    def leaving(self) -> int:
        """Sequences that still hold a slot although nobody waits for them."""
        return self._driver.leaving

    def close(self) -> None:
        """End the engine."""
        self._driver.close()


def driver(spec: ModelSpec, options: RuntimeOptions) -> Driver:
    """The preferred driver that imports. Errors: EngineFailed where there is none."""
    made: Driver = load_target(preferred_way().driver)(spec, options)
    return made


def devices() -> list[str]:
    """The devices of the preferred way that imports. Errors: EngineFailed where there is none."""
    found: list[str] = load_target(preferred_way().devices)()
    return found


def preferred_way() -> Way:
    """The first that imports. Errors: EngineFailed where none does."""
    absent: list[str] = []
    broken: list[str] = []
    for way in WAYS:
        failures = list(_failures(way))
        if not failures:
            return way
        for module, error in failures:
            kind = absent if isinstance(error, ModuleNotFoundError) else broken
            kind.append(f"{module}: {plain_reason(error)}")
    # What is installed and does not import can be mended; that the other is not there says nothing beside it.
    raise EngineFailed(f"llama.cpp cannot be used here: {'; '.join(broken or absent)}")


def _failures(way: Way) -> Iterator[tuple[str, Exception]]:
    for module in way.modules:
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            yield module, error
