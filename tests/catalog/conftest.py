"""Small files of the forms that the catalog reads, written by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

MODELS = Path(__file__).parents[2] / "models"
LANGUAGE_MODEL: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.file_type": 1,
    "llama.context_length": 128,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "hi"],
    "tokenizer.ggml.eos_token_id": 1,
}


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: object) -> bytes:
    match value:
        case str():
            return struct.pack("<I", 8) + _text(value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case list() if all(isinstance(item, str) for item in value):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_text(str(item)) for item in value)
        case list():
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    raise TypeError(value)


def gguf_bytes(
    metadata: Mapping[str, Any],
    *,
    shape: tuple[int, ...] = (4, 2),
    tensor_type: int = 0,
    offset: int = 0,
    data: int = 32,
    version: int = 3,
) -> bytes:
    """A GGUF file with one tensor (F32, 4 x 2 unless told) and ``data`` bytes for it."""
    body = b"GGUF" + struct.pack("<IQQ", version, 1, len(metadata))
    body += b"".join(_text(key) + _value(value) for key, value in metadata.items())
    body += _text("w") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor_type, offset)
    return body + bytes(-len(body) % 32) + bytes(data)


WriteGguf = Callable[..., Path]
WriteIr = Callable[..., Path]


@pytest.fixture
def write_gguf(tmp_path: Path) -> WriteGguf:
    """``write_gguf("folder/name.gguf", {"general.type": "adapter"})``: a whole little model, with changes."""

    def write(name: str, changes: Mapping[str, Any] | None = None, **form: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gguf_bytes({**LANGUAGE_MODEL, **(changes or {})}, **form))
        return path

    return write


@pytest.fixture
def write_ir(tmp_path: Path) -> WriteIr:
    """``write_ir("folder", "openvino_model", inputs=["beam_idx"])``: a graph, its weights and a tokenizer."""

    def write(
        folder: str,
        stem: str,
        *,
        inputs: Sequence[str] = ("input_ids",),
        outputs: Sequence[str] = ("logits",),
        rt_info: str = "",
    ) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        layers = [f'<layer name="{name}" type="Parameter" version="opset1"></layer>' for name in inputs]
        layers += ['<layer name="w" type="Const"><data element_type="f32" offset="8" size="56" /></layer>']
        layers += [f'<layer name="r" type="Result" output_names="{name}"></layer>' for name in outputs]
        graph = f'<net name="Model0" version="11"><layers>{"".join(layers)}</layers>'
        (path / f"{stem}.xml").write_text(f'<?xml version="1.0"?>{graph}<rt_info>{rt_info}</rt_info></net>')
        (path / f"{stem}.bin").write_bytes(bytes(64))
        (path / "tokenizer.json").write_text("{}")
        return path

    return write


@pytest.fixture
def models() -> Path:
    """The demo models of the repository."""
    return MODELS
