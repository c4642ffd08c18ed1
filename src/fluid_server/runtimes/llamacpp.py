"""LlamaCppRuntime: GGUF models through llama.cpp, behind a small driver contract.

The prebuilt driver runs on the xllamacpp wheel. A native one (llama-cpp-python's low-level API, compiled for the
machine) has its place beside it in DRIVERS and is preferred when it imports.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.table import load_target
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions

# package that must be there → module and class of its driver, the preferred one first
DRIVERS = {"xllamacpp": "fluid_server.runtimes.llamacpp_prebuilt:PrebuiltDriver"}


class Driver(Protocol):
    """What LlamaCppRuntime asks of llama.cpp, whichever way it is reached."""

    engine: str
    parallel: int
    context_length: int
    notes: tuple[str, ...]

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
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=self._driver.parallel,
            engine=self._driver.engine,
            context_length=self._driver.context_length,
            notes=self._driver.notes,
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
    """The preferred driver that is installed. Errors: EngineFailed where there is none."""
    for package, target in DRIVERS.items():
        if find_spec(package) is not None:
            made: Driver = load_target(target)(spec, options)
            return made
    raise EngineFailed("llama.cpp is not installed here: xllamacpp has no wheel for this platform.")
