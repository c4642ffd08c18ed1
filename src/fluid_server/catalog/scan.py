"""Walks the models folder and lists every model in it, the broken ones with what is wrong.

The layout: ``models/llm/<name>/``, ``models/whisper/<name>/``, ``models/<owner>/<repo>/`` or any nesting up
to four folders deep. A folder that is a model is not looked into further, but one that only has .gguf files is: it
may be an owner's. A .gguf file that lies directly in ``models/`` or in a folder that sorts by kind is a model by
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fluid_server.catalog import gguf_models, gguf_names, openvino, qnn
from fluid_server.catalog.folder import Folder, explain, look
from fluid_server.catalog.naming import Placed, name_apart
from fluid_server.types import Format, Kind, ModelSpec

MAX_DEPTH = 4
CACHE = "cache"
CATEGORIES = frozenset(
    {
        "llm", "vlm", "vision", "whisper", "asr", "embedding", "embeddings", "rerank", "reranker", "image",
        "images", "speech", "tts",
    }
)  # fmt: skip
"""Folders directly in models/ that sort models by kind and are none themselves."""

NOTHING_KNOWN = (
    "it has no model files that this server knows: an OpenVINO model has openvino_model.xml, "
    "a GGUF model a .gguf file, a QNN model <chipset>/encoder/model.onnx"
)


def scan(folder: Path, shipped: Path | None = None) -> tuple[ModelSpec, ...]:
    """Every model under the folder, sorted by id. Never fails: what cannot be read is listed as broken.

    Those of the folder ``shipped``, which came with the program, are there too, but for what ``folder`` has in the same
    place under the same name.
    """
    own = _placed(folder)
    others = _placed(shipped) if shipped else {}
    return name_apart([*own.values(), *(one for place, one in others.items() if place not in own)])


def _placed(folder: Path) -> dict[tuple[Path, str], Placed]:
    """The models of a folder, by their place in it and their names."""
    try:
        root = look(folder)
    except OSError:
        return {}
    found = (*_loose(root, ()), *_below(root, ()))
    return {(one.spec.path.relative_to(folder), one.spec.id): one for one in found}


def _loose(folder: Folder, parents: tuple[str, ...]) -> Iterator[Placed]:
    """The models that are single files, and links that lead nowhere."""
    category = bool(parents)
    for spec in gguf_models.recognise_loose(folder):
        yield Placed(spec, parents, category)
    for name in folder.dangling:
        if not name.lower().endswith(gguf_names.SUFFIX):
            yield Placed(_broken(folder.path / name, f"{name} is a link to nothing"), parents, category)


def _below(folder: Folder, parents: tuple[str, ...]) -> Iterator[Placed]:
    for name in folder.folders:
        if parents or name != CACHE:
            yield from _visit(folder.path / name, parents)


def _visit(path: Path, parents: tuple[str, ...]) -> Iterator[Placed]:
    category = len(parents) == 1 and parents[0] in CATEGORIES
    inside = (*parents, path.name)
    try:
        folder = look(path)
    except OSError as error:
        yield Placed(_broken(path, explain(error)), parents, category)
        return
    if not parents and path.name in CATEGORIES:
        yield from _loose(folder, inside)
        yield from _below(folder, inside)
        return
    whole = openvino.recognise(folder) or qnn.recognise(folder)
    placed = [Placed(spec, parents, category) for spec in whole or gguf_models.recognise(folder)]
    if placed and not whole and len(inside) < MAX_DEPTH:
        placed += _beside(folder, inside)
    elif not placed and len(inside) < MAX_DEPTH:
        placed = list(_below(folder, inside))
    if not placed and (reason := _why_not(folder, depth=len(inside))):
        placed = [Placed(_broken(path, reason), parents, category)]
    yield from placed


def _beside(folder: Folder, parents: tuple[str, ...]) -> Iterator[Placed]:
    """The models in folders beside .gguf files; whatever else lies there is no concern of ours."""
    home = folder.path.resolve()
    for name in folder.folders:
        if not home.is_relative_to((folder.path / name).resolve()):  # a link in a circle
            found = _visit(folder.path / name, parents)
            yield from (one for one in found if one.spec.format is not Format.UNKNOWN)


def _why_not(folder: Folder, *, depth: int) -> str | None:
    """Why a folder without any model in it is none; None where nobody would expect one."""
    names = [name.lower() for name in folder.files]
    if folder.unfinished:
        return "its download has not finished: download the model again"
    if folder.dangling:
        return f"{folder.dangling[0]} is a link to nothing: download the model again"
    if any(name.endswith((".safetensors", ".pt", ".pth")) or name.startswith("pytorch_model") for name in names):
        return "it holds PyTorch weights: get the OpenVINO or GGUF form of this model, or convert it"
    if folder.folders and depth == MAX_DEPTH:
        return f"it lies too deep: models are looked for {MAX_DEPTH} folders deep"
    if names:
        return NOTHING_KNOWN
    return "the folder is empty: download the model again" if depth > 1 else None


def _broken(path: Path, problem: str) -> ModelSpec:
    """A model that is known by its name alone; no format fits, so the most usual one stands in."""
    return ModelSpec(id=path.name, format=Format.UNKNOWN, kind=Kind.UNKNOWN, path=path, problem=problem)
