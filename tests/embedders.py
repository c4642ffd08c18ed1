"""Embedding models with random weights: those of fixtures/models, and the same weights in GGUF."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.make_model import CONTROL, NORMAL, packed, tokens, write

Floats = npt.NDArray[np.float32]
FIXTURES = Path(__file__).parent / "fixtures" / "models"
BERT, QWEN = "bert-embed", "qwen3-embed"  # an encoder of 512 tokens, and one that reads from left to right
BERT_GGUF, QWEN_GGUF = "bert-embed-gguf", "qwen3-embed-gguf"
WIDTH = 64
CONTEXT = {BERT: 512, QWEN: 2048, BERT_GGUF: 512, QWEN_GGUF: 2048}
_CONSTANT = re.compile(
    r'name="self\.(?:encoder\.)?(?P<name>[\w.]+)" type="Const"[^>]*>\s*'
    r'<data element_type="f32" shape="(?P<shape>[\d, ]+)" offset="(?P<offset>\d+)" size="(?P<size>\d+)"'
)
_PLACES = {
    "embed_tokens": "token_embd",
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
}


def embedding_models(folder: Path) -> Path:
    """A models folder with all four. Both formats give the same vectors: CLS pooling for BERT, the last for Qwen3."""
    for name in (BERT, QWEN):
        shutil.copytree(FIXTURES / name, folder / name)
    _write(folder / BERT_GGUF, FIXTURES / BERT, "bert", _bert_words)
    _write(folder / QWEN_GGUF, FIXTURES / QWEN, "qwen3", _qwen_words)
    return folder


def _write(place: Path, source: Path, architecture: str, words: Any) -> None:
    config = _json(source / "config.json")
    layers = int(config["num_hidden_layers"])
    common: dict[str, object] = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": layers,
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "vocab_size": config["vocab_size"],
    }
    own, further = (_bert if architecture == "bert" else _qwen)(config)
    header = {
        "general.architecture": architecture,
        "general.file_type": 0,
        **{f"{architecture}.{name}": value for name, value in (common | own).items()},
        **words(_json(source / "tokenizer.json")),
    }
    place.mkdir(parents=True)
    tensors = dict(_matrices(source)) | further
    write(place / f"{place.name}.gguf", header, {name: packed(values, "F32") for name, values in tensors.items()})


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _matrices(source: Path) -> Iterator[tuple[str, Floats]]:
    """The graph's weights under GGUF's names. Norms of ones and biases of zeros are not in it."""
    data = (source / "openvino_model.bin").read_bytes()
    for found in _CONSTANT.finditer((source / "openvino_model.xml").read_text(encoding="utf-8")):
        layer = re.match(r"layers?\.(\d+)\.", found["name"])
        plain = found["name"].removeprefix(layer[0] if layer else "").removesuffix(".weight")
        values = np.frombuffer(data, "<f4", int(found["size"]) // 4, int(found["offset"]))
        shape = tuple(int(size) for size in found["shape"].split(","))
        yield (f"blk.{layer[1]}." if layer else "") + f"{_PLACES[plain]}.weight", values.reshape(shape)


def _ones(size: int) -> Floats:
    return np.ones(size, np.float32)


def _zeros(size: int) -> Floats:
    return np.zeros(size, np.float32)


def _qwen(config: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, Floats]]:
    width, head = config["hidden_size"], config["head_dim"]
    keys: dict[str, object] = {
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 10000.0,
        "pooling_type": 3,
    }
    norms = {"attn_norm": width, "ffn_norm": width, "attn_q_norm": head, "attn_k_norm": head}
    further = {
        f"blk.{layer}.{name}.weight": _ones(size)
        for layer in range(config["num_hidden_layers"])
        for name, size in norms.items()
    }
    return keys, further | {"output_norm.weight": _ones(width)}


def _bert(config: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, Floats]]:
    width, forward = config["hidden_size"], config["intermediate_size"]
    keys: dict[str, object] = {"attention.layer_norm_epsilon": 1e-12, "attention.causal": False, "pooling_type": 2}
    further = {"token_embd_norm.weight": _ones(width), "token_embd_norm.bias": _zeros(width)}
    for layer in range(config["num_hidden_layers"]):
        for name in ("attn_output_norm", "layer_output_norm"):
            further |= {f"blk.{layer}.{name}.weight": _ones(width), f"blk.{layer}.{name}.bias": _zeros(width)}
        biases = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down"), width) | {"ffn_up": forward}
        further |= {f"blk.{layer}.{name}.bias": _zeros(size) for name, size in biases.items()}
    return keys, further


def _qwen_words(described: dict[str, Any]) -> dict[str, object]:
    vocabulary = described["model"]["vocab"]
    vocabulary |= {token["content"]: token["id"] for token in described["added_tokens"]}
    return tokens(described) | {"tokenizer.ggml.pre": "gpt-2"}


def _bert_words(described: dict[str, Any]) -> dict[str, object]:
    """WordPiece as llama.cpp has it: what begins a word has a mark, and not what goes on."""
    vocabulary = sorted(described["model"]["vocab"].items(), key=lambda item: int(item[1]))
    special = {token["content"] for token in described["added_tokens"]}
    words = [
        word if word in special else word.removeprefix("##") if word.startswith("##") else "\u2581" + word
        for word, _ in vocabulary
    ]
    told = {
        "model": "bert",
        "tokens": words,
        "token_type": [CONTROL if word in special else NORMAL for word in words],
        "token_type_count": 2,
        "unknown_token_id": 1,
        "bos_token_id": 2,
        "cls_token_id": 2,
        "seperator_token_id": 3,
        "padding_token_id": 0,
        "mask_token_id": 4,
    }
    return {f"tokenizer.ggml.{name}": value for name, value in told.items()}
