"""What is loaded before anyone asks, and the small request that proves a model works."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Sequence

from fluid_server.config import ServerConfig
from fluid_server.managers.selection import select
from fluid_server.types import EmbedRequest, GenerateRequest, Kind, ModelSpec, Request, Sampling, TranscribeRequest
from fluid_server.workers.probe import Report

SAMPLE_RATE = 16000


def to_warm(specs: Sequence[ModelSpec], reports: Report, config: ServerConfig) -> list[str]:
    """The names of the speech model, then the language model: the configured ones, else the smallest that runs here."""
    chosen = []
    for wish, kind in ((config.whisper_model, Kind.TRANSCRIPTION), (config.llm_model, Kind.TEXT)):
        found = None if wish else default_model(specs, reports, kind, config.device)
        if name := wish or (found.id if found else None):
            chosen.append(name)
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


def first_request(spec: ModelSpec) -> Request | None:
    """One token of text, half a second of silence, or a word to be embedded."""
    if spec.kind in (Kind.TEXT, Kind.VISION):
        return GenerateRequest(text="Hello", max_tokens=1, sampling=Sampling(temperature=0.0))
    if spec.kind is Kind.TRANSCRIPTION:
        return TranscribeRequest(audio=_silence())
    if spec.kind is Kind.EMBEDDING:
        return EmbedRequest(inputs=("Hello",))
    return None


def _silence() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(SAMPLE_RATE))  # two bytes a sample: half a second
    return buffer.getvalue()
