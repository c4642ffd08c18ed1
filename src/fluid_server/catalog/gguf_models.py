"""Turns the GGUF files of a folder into models: splits joined, projectors attached, quantisations named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fluid_server.catalog import sidecar
from fluid_server.catalog.folder import BadModel, File, Folder, explain, missing
from fluid_server.catalog.ggml import FILE_TYPES, preference, quantization_in
from fluid_server.catalog.gguf import GgufError, Header, Value, read_header
from fluid_server.catalog.gguf_memory import kv_bytes_per_token, state_bytes
from fluid_server.catalog.gguf_names import is_projector, joined, projector_preference
from fluid_server.types import Adapter, Format, Kind, ModelSpec, Sampling

EMBEDDING_ARCHITECTURES = frozenset(
    {
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3",
        "eurobert", "gemma-embedding", "llama-embed", "t5encoder",
    }
)  # fmt: skip
"""Encoders: they read a text at once and keep nothing of it, so that they have no KV cache."""

POOLED: Mapping[object, str] = {1: "mean", 2: "cls", 3: "last"}
RANKED = 4
ADAPTER = "adapter"  # the type of a GGUF file that holds a LoRA
_GUESSED = 1024


@dataclass(frozen=True, slots=True)
class Found:
    """One model file, its split parts joined. ``extra`` says what it is when it is no model of its own."""

    spec: ModelSpec
    stem: str
    projector: bool = False
    extra: str | None = None


def recognise(folder: Folder) -> tuple[ModelSpec, ...]:
    """The models of the folder. One is named as the folder; several ``<folder>:<QUANTISATION>``."""
    found = _found(folder)
    models = [each for each in found if not each.projector and not each.extra]
    if models:
        models = _with_adapters(models, [each for each in found if each.extra == ADAPTER], folder)
        return _named(folder.path.name, _with_projector(models, [each for each in found if each.projector]))
    return tuple(_lonely(folder, each) for each in found[:1])


def recognise_loose(folder: Folder) -> tuple[ModelSpec, ...]:
    """The .gguf files of a folder for many models, each named by its stem. Projectors are left out."""
    found = (each for each in _found(folder, loose=True) if not each.projector and not each.extra)
    return tuple(replace(each.spec, id=each.stem) for each in found)


def _found(folder: Folder, *, loose: bool = False) -> list[Found]:
    names = (*folder.files, *folder.dangling)
    return [_read(folder, stem, parts, loose=loose) for parts, stem in joined(names).items()]


def _read(folder: Folder, stem: str, names: tuple[str, ...], *, loose: bool) -> Found:
    files = [folder.files[name] for name in names if name in folder.files]
    spec = ModelSpec(
        id=folder.path.name,
        format=Format.GGUF,
        kind=Kind.UNKNOWN,
        path=folder.path / names[0],
        files=tuple(file.path for file in files),
        size_bytes=sum(file.size for file in files),
        quantization=quantization_in(stem),
        modified=max((file.modified for file in files), default=0.0),
    )
    projector = is_projector(stem)
    try:
        header = _headers(folder, names)[0]
        projector = projector or "clip" in (header.metadata.get("general.architecture"), _type(header))
        if projector or _type(header) not in ("", "model"):
            return Found(spec, stem, projector=projector, extra=None if projector else _type(header))
        return Found(replace(spec, **_described(header, files[0], folder, loose=loose)), stem)
    except (BadModel, OSError) as error:
        return Found(replace(spec, problem=explain(error)), stem, projector=projector)


def _headers(folder: Folder, names: Iterable[str]) -> list[Header]:
    """The headers of all parts: each part is checked for completeness."""
    headers = []
    for name in names:
        file = folder.files.get(name)
        if file is None:
            raise missing(name)
        headers.append(_header(file.path, file.size, file.modified))
    return headers


@lru_cache(maxsize=256)
def _header(path: Path, _size: int, _modified: float) -> Header:
    """Remembered while the file keeps its size and date: a catalog is scanned again and again."""
    return read_header(path)


def _type(header: Header) -> str:
    kind = header.metadata.get("general.type", "")
    return "clip" if kind == "mmproj" else str(kind)


def _described(header: Header, file: File, folder: Folder, *, loose: bool) -> dict[str, Any]:
    """The fields of a ModelSpec that a header tells; files beside it count only in a folder of its own."""
    meta = header.metadata
    architecture = meta.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise GgufError(f"{file.path.name} does not say what architecture it has: download it again")
    if not header.vocabulary:
        raise GgufError(f"{file.path.name} has no vocabulary, so it is not a language model that runs here")
    beside = folder if not loose else replace(folder, files={})
    template = sidecar.chat_template(beside, {}) or meta.get("tokenizer.chat_template")
    told: dict[str, Any] = {
        "kind": _kind(architecture, meta),
        "architecture": architecture,
        "context_length": sidecar.whole(meta.get(f"{architecture}.context_length")),
        "kv_bytes_per_token": None
        if architecture in EMBEDDING_ARCHITECTURES
        else kv_bytes_per_token(architecture, meta),
        "state_bytes": state_bytes(architecture, meta),
        "pooling": POOLED.get(meta.get(f"{architecture}.pooling_type")),
        "chat_template": template if isinstance(template, str) else None,
        "special_tokens": header.special_tokens,
        "sampling": _sampling(meta, sidecar.sampling(sidecar.read_json(beside, "generation_config.json"))),
    }
    if (quantization := _quantization(meta)) is not None:
        told["quantization"] = quantization
    return told


def _quantization(meta: Mapping[str, Value]) -> str | None:
    file_type = meta.get("general.file_type")
    return FILE_TYPES.get(file_type & ~_GUESSED) if isinstance(file_type, int) else None


def _kind(architecture: str, meta: Mapping[str, Value]) -> Kind:
    pooling = meta.get(f"{architecture}.pooling_type")
    if pooling == RANKED:
        return Kind.RERANK
    return Kind.EMBEDDING if architecture in EMBEDDING_ARCHITECTURES or pooling in POOLED else Kind.TEXT


def _sampling(meta: Mapping[str, Value], beside: Sampling) -> Sampling:
    """The file's own defaults; a generation_config.json beside it has the last word on each."""
    own = Sampling(
        temperature=sidecar.number(meta.get("general.sampling.temp")),
        top_p=sidecar.number(meta.get("general.sampling.top_p")),
        top_k=sidecar.whole(meta.get("general.sampling.top_k"), least=0),
        min_p=sidecar.number(meta.get("general.sampling.min_p")),
        repetition_penalty=sidecar.number(meta.get("general.sampling.penalty_repeat")),
    )
    told = {part.name: getattr(beside, part.name) for part in fields(Sampling)}
    return replace(own, **{name: value for name, value in told.items() if value is not None})


def _with_projector(models: list[Found], projectors: list[Found]) -> list[Found]:
    """A projector makes the models beside it see. Of several, the smallest that loses nothing: F16."""
    if not projectors:
        return models
    best = min(projectors, key=lambda each: (projector_preference(each.spec.quantization), each.stem)).spec
    return [replace(model, spec=_seeing(model.spec, best)) for model in models]


def _with_adapters(models: list[Found], loras: list[Found], folder: Folder) -> list[Found]:
    """What the folder's fluid.json lays over its models. A LoRA that it does not name is left alone."""
    try:
        adapters = sidecar.adapters(folder)
        known = {each.spec.path: each.spec for each in loras}
        if any(adapter.path not in known for adapter in adapters):
            raise BadModel(f"{sidecar.OWN} names an adapter that is no LoRA in GGUF: convert it, or name another file")
    except (BadModel, OSError) as error:
        return [replace(model, spec=replace(model.spec, problem=explain(error))) for model in models]
    own = [known[adapter.path] for adapter in adapters]
    return [replace(model, spec=_adapted(model.spec, adapters, own)) for model in models]


def _adapted(model: ModelSpec, adapters: tuple[Adapter, ...], own: list[ModelSpec]) -> ModelSpec:
    return replace(
        model,
        adapters=adapters,
        files=model.files + tuple(file for each in own for file in each.files),
        size_bytes=model.size_bytes + sum(each.size_bytes for each in own),
        modified=max(each.modified for each in (model, *own)),
        problem=model.problem or next((each.problem for each in own if each.problem), None),
    )


def _seeing(model: ModelSpec, projector: ModelSpec) -> ModelSpec:
    if model.kind is not Kind.TEXT:
        return model
    return replace(
        model,
        kind=Kind.VISION,
        mmproj=projector.path,
        files=model.files + projector.files,
        size_bytes=model.size_bytes + projector.size_bytes,
        modified=max(model.modified, projector.modified),
        problem=projector.problem,
    )


def _named(folder: str, models: list[Found]) -> tuple[ModelSpec, ...]:
    if len(models) == 1:
        return (models[0].spec,)
    best = min(models, key=lambda each: (each.spec.problem is not None, preference(each.spec.quantization)))
    labels = _labels(models)
    return tuple(
        replace(each.spec, id=f"{folder}:{label}", aliases=(folder,) if each is best else ())
        for each, label in zip(models, labels, strict=True)
    )


def _labels(models: list[Found]) -> list[str]:
    """What tells a folder's models apart: what they say they are, else how their names end, else these."""
    for label in (lambda each: each.spec.quantization, lambda each: quantization_in(each.stem)):
        labels = [label(each) for each in models]
        if all(labels) and max(Counter(labels).values()) == 1:
            return [str(text) for text in labels]
    return [each.stem for each in models]


def _lonely(folder: Folder, found: Found) -> ModelSpec:
    """A folder that has only what belongs to another model."""
    what = "a projector for pictures (mmproj)" if found.projector else f"a GGUF file of the type {found.extra}"
    problem = found.spec.problem or f"it holds only {what}: put it beside the model that it belongs to"
    return replace(found.spec, id=folder.path.name, problem=problem)
