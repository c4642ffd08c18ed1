"""Models: what the catalog finds, and how a runtime is to load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Format(StrEnum):
    """How a model's weights are stored."""

    OPENVINO = "openvino"
    GGUF = "gguf"
    QNN = "qnn"
    BUILTIN = "builtin"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What a model is made for."""

    TEXT = "text"
    VISION = "vision-language"
    TRANSCRIPTION = "transcription"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"
    UNKNOWN = "unknown"


class Ability(StrEnum):
    """What a client can ask of a model."""

    CHAT = "chat"
    COMPLETION = "completion"
    TRANSCRIPTION = "transcription"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"


ABILITIES: Mapping[Kind, frozenset[Ability]] = {
    Kind.TEXT: frozenset({Ability.CHAT, Ability.COMPLETION}),
    Kind.VISION: frozenset({Ability.CHAT, Ability.COMPLETION}),
    Kind.TRANSCRIPTION: frozenset({Ability.TRANSCRIPTION}),
    Kind.EMBEDDING: frozenset({Ability.EMBEDDING}),
    Kind.RERANK: frozenset({Ability.RERANK}),
    Kind.IMAGE: frozenset({Ability.IMAGE}),
    Kind.SPEECH: frozenset({Ability.SPEECH}),
    Kind.UNKNOWN: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is drawn; None leaves the choice to the model's own defaults.

    ``temperature`` 0 is greedy. Penalties are OpenAI's (additive, -2 to 2) but ``repetition_penalty``,
    which is multiplicative (1 is none) as in Hugging Face's generation_config.json.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA that is laid over a model's weights, ``scale`` times as strongly as it was trained."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that the catalog found: where it lies and what its own files say of it.

    ``path`` is the model's folder, or its (first) .gguf file. ``files`` are its weights, every split part
    included, and ``size_bytes`` their sum. A broken model has its reason in ``problem`` and is never loaded.
    ``special_tokens`` holds the texts of bos_token, eos_token, pad_token and unk_token where known. ``pause`` is how
    many seconds of silence a speech model should have between what it hears at once, where its folder says so.
    ``pooling`` is how an embedding model's vectors of single tokens become one: mean, cls (the first token's) or last;
    None where its files do not say.
    ``state_bytes`` is what recurrent layers keep of each sequence that may run, however long it is.
    """

    id: str
    format: Format
    kind: Kind
    path: Path
    files: tuple[Path, ...] = ()
    size_bytes: int = 0
    aliases: tuple[str, ...] = ()
    architecture: str | None = None
    context_length: int | None = None
    quantization: str | None = None
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = Sampling()
    languages: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    pause: float | None = None
    pooling: str | None = None
    mmproj: Path | None = None
    adapters: tuple[Adapter, ...] = ()
    kv_bytes_per_token: int | None = None
    state_bytes: int = 0
    modified: float = 0.0
    problem: str | None = None

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a client can ask of this model."""
        return ABILITIES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """How a runtime is to load its model. ``kv_budget_bytes`` bounds the KV cache; None leaves it to the runtime.

    ``dialect`` names one of content.dialects; None has it recognised from the chat template.
    """

    device: str = "CPU"
    threads: int | None = None
    parallel: int = 8
    context_length: int | None = None
    kv_budget_bytes: int | None = None
    cache_dir: Path | None = None
    dialect: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a loaded model turned out to be. ``parallel`` is how many requests it answers at once.

    ``reserve_bytes``: memory that it has not taken when it is ready, and may take later.
    """

    runtime: str
    device: str
    parallel: int
    engine: str = ""
    context_length: int | None = None
    notes: tuple[str, ...] = ()
    reserve_bytes: int = 0
