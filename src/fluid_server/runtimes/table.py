"""Name → runtime. The only list of backends: selection, doctor, the packaged program and the worker read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fluid_server.runtimes.base import BaseRuntime
from fluid_server.types import Format, Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """One backend: where its class is, which package it needs and who lists its devices, and what it can run.

    Any one of ``packages`` will do, the first that is installed is used; none are needed where it is empty.
    ``remark`` names a function that says why a device which could be expected is not here, or None. ``extra`` is the
    extra of ours that brings the packages, where a plain installation does not.
    """

    name: str
    target: str
    packages: tuple[str, ...]
    devices: str | None
    formats: frozenset[Format]
    kinds: frozenset[Kind]
    remark: str | None = None
    extra: str | None = None


HERE = "fluid_server.runtimes."


RUNTIMES: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="openvino",
            target=HERE + "openvino_llm:OpenVINOLLMRuntime",
            packages=("openvino-genai",),
            devices=HERE + "openvino_shared:devices",
            formats=frozenset({Format.OPENVINO}),
            kinds=frozenset({Kind.TEXT}),
        ),
        Entry(
            name="openvino-whisper",
            target=HERE + "openvino_whisper:OpenVINOWhisperRuntime",
            packages=("openvino-genai",),
            devices=HERE + "openvino_shared:devices",
            formats=frozenset({Format.OPENVINO}),
            kinds=frozenset({Kind.TRANSCRIPTION}),
        ),
        Entry(
            name="qnn-whisper",
            target=HERE + "qnn_whisper:QNNWhisperRuntime",
            packages=("onnxruntime",),
            devices=HERE + "qnn_sessions:devices",
            formats=frozenset({Format.QNN}),
            kinds=frozenset({Kind.TRANSCRIPTION}),
            remark=HERE + "qnn_sessions:remark",
            extra="qnn",
        ),
        Entry(
            name="openvino-speech",
            target=HERE + "openvino_speech:OpenVINOSpeechRuntime",
            packages=("openvino-genai",),
            devices=HERE + "openvino_shared:devices",
            formats=frozenset({Format.OPENVINO}),
            kinds=frozenset({Kind.SPEECH}),
        ),
        Entry(
            name="openvino-embedding",
            target=HERE + "openvino_embedding:OpenVINOEmbeddingRuntime",
            packages=("openvino-genai",),
            devices=HERE + "openvino_shared:devices",
            formats=frozenset({Format.OPENVINO}),
            kinds=frozenset({Kind.EMBEDDING}),
        ),
        Entry(
            name="llamacpp",
            target=HERE + "llamacpp:LlamaCppRuntime",
            packages=("llama-cpp-python", "xllamacpp"),
            devices=HERE + "llamacpp:devices",
            formats=frozenset({Format.GGUF}),
            kinds=frozenset({Kind.TEXT, Kind.VISION}),  # of a vision model, the language half
            extra="native",
        ),
        Entry(
            name="llamacpp-embedding",
            target=HERE + "llamacpp_embedding:LlamaCppEmbeddingRuntime",
            packages=("llama-cpp-python", "xllamacpp"),
            devices=HERE + "llamacpp:devices",
            formats=frozenset({Format.GGUF}),
            kinds=frozenset({Kind.EMBEDDING}),
            extra="native",
        ),
        Entry(
            name="echo",
            target=HERE + "echo:EchoRuntime",
            packages=(),
            devices=None,
            formats=frozenset({Format.BUILTIN}),
            kinds=frozenset({Kind.TEXT}),
        ),
    )
}


def load_target(target: str) -> Any:
    """What ``module:name`` stands for. Errors: ImportError, AttributeError."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def create(name: str) -> BaseRuntime:
    """Import the runtime's module and make one. Errors: KeyError for an unknown name, ImportError."""
    runtime: type[BaseRuntime] = load_target(RUNTIMES[name].target)
    return runtime()
