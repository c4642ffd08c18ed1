"""Recognises Whisper compiled for Qualcomm's NPU: ``<model>/<chipset>/{encoder,decoder}/model.onnx``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fluid_server.catalog import sidecar
from fluid_server.catalog.folder import BadModel, File, Folder, explain, look, missing
from fluid_server.types import Format, Kind, ModelSpec

HALVES = ("encoder", "decoder")
METADATA = "metadata.json"  # of AI Hub, in a chipset's folder or beside it: what a quantised graph's numbers stand for
PORTABLE = (
    "cpu"  # the chipset's name of graphs that are compiled for none: any CPU runs them, and an NPU can compile them
)


def chipsets(spec: ModelSpec) -> frozenset[str]:
    """The chipset folders of a model of this format."""
    return frozenset(file.relative_to(spec.path).parts[0] for file in spec.files)


def recognise(folder: Folder) -> tuple[ModelSpec, ...]:
    """The one model of the folder, broken or not; empty if it holds no QNN Whisper."""
    chipsets = [name for name in folder.folders if _is_chipset(folder, name)]
    if not chipsets:
        return ()
    spec = ModelSpec(
        id=folder.path.name,
        format=Format.QNN,
        kind=Kind.TRANSCRIPTION,
        path=folder.path,
        modified=folder.modified,
    )
    try:
        return (_described(folder, spec, chipsets),)
    except (BadModel, OSError) as error:
        return (replace(spec, problem=explain(error)),)


def _is_chipset(folder: Folder, name: str) -> bool:
    try:
        return any((folder.path / name / half / "model.onnx").exists() for half in HALVES)
    except PermissionError:
        return False


def _described(folder: Folder, spec: ModelSpec, chipsets: list[str]) -> ModelSpec:
    weights = [file for chipset in chipsets for half in HALVES for file in _weights(folder, chipset, half)]
    config = sidecar.read_json(folder, "config.json")
    generation = sidecar.read_json(folder, "generation_config.json")
    return replace(
        spec,
        files=tuple(file.path for file in weights),
        size_bytes=sum(file.size for file in weights),
        modified=max(spec.modified, *(file.modified for file in weights)),
        architecture=sidecar.architecture(config) or "whisper",
        context_length=_places(folder, chipsets) or sidecar.context_length(config),
        special_tokens=sidecar.special_tokens(folder, sidecar.read_json(folder, "tokenizer_config.json")),
        languages=sidecar.languages(generation),
        pause=sidecar.pause(folder),
    )


def _places(folder: Folder, chipsets: list[str]) -> int | None:
    """How many tokens the decoder was exported for, which is fewer than Whisper could: the length of its mask."""
    for files in (folder, *(look(folder.path / chipset) for chipset in chipsets)):
        told = sidecar.read_json(files, METADATA)
        for half in _part(told, "model_files").values():
            shape = _part(_part(half, "inputs"), "attention_mask").get("shape")
            if isinstance(shape, list) and shape and (places := sidecar.whole(shape[-1])):
                return places
    return None


def _part(value: object, name: str) -> dict[str, Any]:
    """A part of JSON that is to be an object; empty if it is none."""
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def _weights(folder: Folder, chipset: str, half: str) -> list[File]:
    """The graph and what lies beside it: the compiled context may be a file of its own."""
    try:
        found = look(folder.path / chipset / half).files
    except FileNotFoundError as error:
        raise missing(f"{chipset}/{half}/model.onnx") from error
    graph = found.get("model.onnx")
    if graph is None or not graph.size:
        raise missing(f"{chipset}/{half}/model.onnx")
    return list(found.values())
