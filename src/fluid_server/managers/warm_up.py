"""What is loaded before anyone asks, and the small request that proves a model works."""

from __future__ import annotations

import io
import logging
import wave
from collections.abc import Iterable, Sequence

from fluid_server.catalog.resolve import resolve
from fluid_server.config import ServerConfig
from fluid_server.errors import FluidError
from fluid_server.managers.selection import select
from fluid_server.types import Ability, GenerateRequest, Kind, ModelSpec, Request, Sampling, TranscribeRequest
from fluid_server.workers.probe import Report

logger = logging.getLogger(__name__)
SAMPLE_RATE = 16000


def to_warm(specs: Sequence[ModelSpec], reports: Report, config: ServerConfig) -> list[tuple[ModelSpec, Ability]]:
    """The speech model, then the language model: the configured ones, else the smallest that runs here."""
    chosen: list[tuple[ModelSpec, Ability]] = []
    wishes = ((config.whisper_model, Kind.TRANSCRIPTION), (config.llm_model, Kind.TEXT))
    for wish, kind in wishes:
        spec = _configured(specs, wish) if wish else default_model(specs, reports, kind, config.device)
        if spec is not None:
            chosen.append((spec, Ability.TRANSCRIPTION if kind is Kind.TRANSCRIPTION else Ability.CHAT))
    return chosen


def default_model(specs: Iterable[ModelSpec], reports: Report, kind: Kind, device: str) -> ModelSpec | None:
    """The model of a kind that is meant when nobody says which: OpenVINO before llama.cpp, then the smallest."""
    runnable = [
        (order, spec.size_bytes, spec.id, spec)
        for spec in specs
        if spec.kind is kind and not spec.problem and spec.id != "echo"
        for order, found in enumerate(("openvino", "gguf", "qnn", "builtin"))
        if spec.format == found and select(spec, reports, device).candidates
    ]
    return min(runnable)[-1] if runnable else None


def _configured(specs: Sequence[ModelSpec], name: str) -> ModelSpec | None:
    try:
        return resolve(specs, name)
    except FluidError as error:
        logger.error("%s", error.message)
        return None


def first_request(spec: ModelSpec) -> Request | None:
    """One token of text, or half a second of silence."""
    if spec.kind in (Kind.TEXT, Kind.VISION):
        return GenerateRequest(text="Hello", max_tokens=1, sampling=Sampling(temperature=0.0))
    if spec.kind is Kind.TRANSCRIPTION:
        return TranscribeRequest(audio=_silence())
    return None


def _silence() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(SAMPLE_RATE))  # two bytes a sample: half a second
    return buffer.getvalue()
