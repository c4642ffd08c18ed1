"""Recognises folders that hold an OpenVINO IR model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from fluid_server.catalog import pooling, sidecar
from fluid_server.catalog.folder import BadModel, File, Folder, explain, look, missing
from fluid_server.catalog.ir import Graph, read_graph
from fluid_server.types import Format, Kind, ModelSpec

MODEL_INDEX = "model_index.json"
TOKENIZERS = ("openvino_tokenizer", "openvino_detokenizer")


@dataclass(frozen=True, slots=True)
class Layout:
    """A form of folder: ``marker`` gives it away, ``graphs`` must be there. Kind UNKNOWN: the graph tells."""

    kind: Kind
    marker: str
    graphs: tuple[str, ...]
    tokenizer: bool = True


LAYOUTS = (
    Layout(
        Kind.SPEECH,
        "openvino_vocoder",
        ("openvino_encoder_model", "openvino_decoder_model", "openvino_postnet", "openvino_vocoder"),
    ),
    Layout(Kind.VISION, "openvino_language_model", ("openvino_language_model",)),
    Layout(Kind.TRANSCRIPTION, "openvino_encoder_model", ("openvino_encoder_model", "openvino_decoder_model")),
    Layout(Kind.TRANSCRIPTION, "openvino_decoder_model", ("openvino_encoder_model", "openvino_decoder_model")),
    Layout(Kind.UNKNOWN, "openvino_model", ("openvino_model",)),
)
"""Read from the top: SpeechT5 has an encoder and a decoder too."""

VOICES = "voices"
BUILT_IN = ("default",)
"""The voice of SpeechT5 that the engine brings along."""

WHOLE = "sentence_embedding"
"""The output of a graph that pools by itself."""

KOKORO = Layout(Kind.SPEECH, "openvino_model", ("openvino_model",), tokenizer=False)


def recognise(folder: Folder) -> tuple[ModelSpec, ...]:
    """The one model of the folder, broken or not; empty if it holds no OpenVINO model."""
    layout = _layout(folder)
    if layout is None and MODEL_INDEX not in folder.files:
        return ()
    spec = ModelSpec(
        id=folder.path.name,
        format=Format.OPENVINO,
        kind=layout.kind if layout else Kind.IMAGE,
        path=folder.path,
        modified=folder.modified,
    )
    try:
        return (_pipeline(folder, spec) if layout is None else _single(folder, spec, layout),)
    except (BadModel, OSError) as error:
        return (replace(spec, kind=_guess(folder, spec.kind), problem=explain(error)),)


def _layout(folder: Folder) -> Layout | None:
    names = chain(folder.files, folder.dangling)
    present = {name.rpartition(".")[0] for name in names if name.endswith((".xml", ".bin"))}
    return next((layout for layout in LAYOUTS if layout.marker in present), None)


def _single(folder: Folder, spec: ModelSpec, layout: Layout) -> ModelSpec:
    config = sidecar.read_json(folder, "config.json")
    if "istftnet" in config:
        layout = KOKORO
    graphs = _graphs(folder, layout.graphs)
    kind = _kind(graphs[layout.marker], config) if layout.kind is Kind.UNKNOWN else layout.kind
    _check_family(kind, config)
    if layout.tokenizer and not {"tokenizer.json", "openvino_tokenizer.xml"} & folder.files.keys():
        raise BadModel("its tokenizer is missing (tokenizer.json or openvino_tokenizer.xml): download it again")
    if kind is Kind.SPEECH:
        spec = replace(spec, voices=_voices(folder, built_in=() if layout is KOKORO else BUILT_IN))
    spec = replace(spec, kind=kind, **_weights([folder], graphs))
    spec = replace(spec, **_described(folder, config, graphs))
    return _embedding(folder, spec, config, graphs[layout.marker]) if kind is Kind.EMBEDDING else spec


def _embedding(folder: Folder, spec: ModelSpec, config: Mapping[str, Any], graph: Graph) -> ModelSpec:
    """What is told of embedding models alone. A graph that gives the text's own vector holds all that is computed."""
    tokenizer = sidecar.read_json(folder, "tokenizer_config.json")
    return replace(
        spec,
        pooling=None if WHOLE in graph.outputs else pooling.pooling(folder),
        context_length=pooling.context_length(config, tokenizer),
    )


def _voices(folder: Folder, built_in: tuple[str, ...]) -> tuple[str, ...]:
    """The voices that the engine has for this kind of model, then those of the folder ``voices``, each a file."""
    files = look(folder.path / VOICES).files if VOICES in folder.folders else {}
    names = sorted(name.removesuffix(".bin") for name, file in files.items() if name.endswith(".bin") and file.size)
    voices = tuple(dict.fromkeys((*built_in, *names)))
    if not voices:
        raise missing("every file of the folder voices" if VOICES in folder.folders else "the folder voices")
    return voices


def _check_family(kind: Kind, config: Mapping[str, Any]) -> None:
    """An encoder with a decoder is a transcriber only if it listens."""
    family = sidecar.architecture(config) or "whisper"
    if kind is Kind.TRANSCRIPTION and not any(word in family for word in ("whisper", "asr")):
        raise BadModel(f"it is an encoder-decoder of the type {family}, which no runtime here serves")


def _graphs(folder: Folder, required: tuple[str, ...], prefix: str = "") -> dict[str, Graph]:
    """Every graph of the folder by its stem, after a check that each has all of its weights."""
    stems = {name.removesuffix(".xml") for name in folder.files if name.endswith(".xml")}
    stems = {stem for stem in stems if stem.startswith("openvino_")} | set(required)
    return {stem: _graph(folder, stem, prefix) for stem in sorted(stems)}


def _graph(folder: Folder, stem: str, prefix: str) -> Graph:
    graph = read_graph(_need(folder, f"{stem}.xml", prefix))
    weights = _need(folder, f"{stem}.bin", prefix)
    if weights.size < max(graph.weights, 1):
        there = f"{weights.size} of {graph.weights} bytes are there" if weights.size else "it is empty"
        raise BadModel(f"{prefix}{weights.path.name} is cut short ({there}): download the model again")
    return graph


def _need(folder: Folder, name: str, prefix: str) -> File:
    file = folder.files.get(name)
    if file is None:
        raise missing(prefix + name)
    return file


def _weights(folders: list[Folder], graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """The fields of a ModelSpec about its weight files."""
    names = {f"{stem}.bin" for stem in graphs if stem not in TOKENIZERS}
    files = [file for folder in folders for name, file in folder.files.items() if name in names]
    compressions = (graph.compression for graph in graphs.values())
    return {
        "files": tuple(file.path for file in files),
        "size_bytes": sum(file.size for file in files),
        "quantization": next((mode.upper() for mode in compressions if mode), None),
    }


def _described(folder: Folder, config: Mapping[str, Any], graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """The fields of a ModelSpec that the small files beside the graphs tell."""
    tokenizer = sidecar.read_json(folder, "tokenizer_config.json")
    generation = sidecar.read_json(folder, "generation_config.json")
    stored = graphs.get("openvino_tokenizer")
    template = sidecar.chat_template(folder, tokenizer) or (stored.chat_template if stored else None)
    causal = any("beam_idx" in graph.inputs for graph in graphs.values())
    return {
        "architecture": sidecar.architecture(config),
        "context_length": sidecar.context_length(config),
        "kv_bytes_per_token": sidecar.kv_bytes_per_token(config) if causal else None,
        "chat_template": template or None,
        "special_tokens": sidecar.special_tokens(folder, tokenizer),
        "sampling": sidecar.sampling(generation),
        "languages": sidecar.languages(generation),
        "pause": sidecar.pause(folder),
    }


def _kind(graph: Graph, config: Mapping[str, Any]) -> Kind:
    """The graph's inputs and outputs tell; the architecture in config.json is the second witness."""
    claimed = _claimed(config)
    if "beam_idx" in graph.inputs:
        return Kind.TEXT
    if graph.outputs & {"last_hidden_state", "token_embeddings", WHOLE}:
        return Kind.EMBEDDING
    if claimed is Kind.TEXT:
        raise BadModel("it was exported without its state: export it with the task text-generation-with-past")
    if "logits" in graph.outputs:
        return Kind.RERANK
    if claimed is Kind.UNKNOWN:
        raise BadModel("openvino_model.xml is of no kind that this server knows: text, embedding or rerank")
    return claimed


def _claimed(config: Mapping[str, Any]) -> Kind:
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return Kind.TEXT
    if name.endswith("ForSequenceClassification"):
        return Kind.RERANK
    return Kind.EMBEDDING if name.endswith("Model") else Kind.UNKNOWN


def _guess(folder: Folder, kind: Kind) -> Kind:
    """The kind of a broken model, as far as config.json still tells."""
    if kind is not Kind.UNKNOWN:
        return kind
    try:
        return _claimed(sidecar.read_json(folder, "config.json"))
    except (BadModel, OSError):
        return kind


def _pipeline(folder: Folder, spec: ModelSpec) -> ModelSpec:
    """An image pipeline: model_index.json names components, each a folder of its own."""
    index = sidecar.read_json(folder, MODEL_INDEX)
    parts = [look(folder.path / name) for name in folder.folders]
    graphs: dict[str, Graph] = {}
    for part in parts:
        required = ("openvino_model",) if part.path.name in _components(index) else ()
        graphs |= _graphs(part, required, f"{part.path.name}/")
    absent = sorted(_components(index) - set(folder.folders))
    if absent or "openvino_model" not in graphs:
        raise missing(f"{absent[0] if absent else 'unet'}/openvino_model.xml")
    return replace(
        spec,
        architecture=sidecar.words(index.get("_class_name")),
        modified=max(spec.modified, *(part.modified for part in parts)),
        **_weights(parts, graphs),
    )


def _components(index: Mapping[str, Any]) -> set[str]:
    """The folders that an image pipeline cannot do without."""
    bodies = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
    named = {name for name in bodies if isinstance(index.get(name), list) and index[name][:1] != [None]}
    return {"vae_decoder" if name == "vae" else name for name in named}
