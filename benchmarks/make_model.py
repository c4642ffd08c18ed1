"""A language model of 67 M parameters with random weights, as GGUF (F16, Q8_0) and as OpenVINO IR, without torch.

uv run benchmarks/make_model.py [FOLDER]     default: build/benchmarks/models, which git ignores
uv run fluid-server --model-path FOLDER      then serves fluid-random-gguf:F16, fluid-random-gguf:Q8_0, fluid-random-ov

It says nothing that makes sense, and it takes the time of a model that does: Qwen3's architecture, 16 layers 512 wide,
a vocabulary of 32,768. The same bytes each time. The tokenizer is the demo model's, with made-up words added up to a
vocabulary of usual size. The IR comes from the F16 file through OpenVINO GenAI's own GGUF reader, so both engines
compute the same weights. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "benchmarks" / "models"
DEMO = ROOT / "models" / "llm" / "fluid-tiny-ov"
NAME = "fluid-random"
SEED = 67
VOCABULARY, WIDTH, LAYERS, FEED_FORWARD, CONTEXT = 32_768, 512, 16, 1536, 8192
HEADS, KV_HEADS, HEAD = 8, 4, 64
EPSILON, ROPE_BASE = 1e-6, 1e6
SHARPNESS = 2.0  # standard deviation of the logits: a model that is neither certain nor without any idea
END_OF_TEXT, END_OF_TURN = 0, 2
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # kinds of tokens in GGUF
ALIGNMENT = 32
BLOCK = 32  # values that share a scale in Q8_0
# ggml's numbers of the tensor types, and llama.cpp's of the files that are mostly of one.
F32, F16, Q8_0 = 0, 1, 8
FILE_TYPES = {"F16": 1, "Q8_0": 7}
OV_FILES = (
    "openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml", "openvino_tokenizer.bin",
    "openvino_detokenizer.xml", "openvino_detokenizer.bin",
)  # fmt: skip

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as it lies in a GGUF file. ``shape`` in numpy's order: rows first."""

    shape: tuple[int, ...]
    kind: int
    data: bytes


# --- Words ---------------------------------------------------------------------------------------------------


def tokenizer() -> dict[str, Any]:
    """The demo model's ``tokenizer.json`` with words added. Words without merges are never read, only written."""
    described: dict[str, Any] = json.loads((DEMO / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = described["model"]["vocab"]
    for token in described["added_tokens"]:  # in the vocabulary too, or their ids would come after the new words'
        vocabulary[token["content"]] = token["id"]
    known = set(vocabulary)
    fresh = (word for word in words() if word not in known)
    for word in islice(fresh, VOCABULARY - len(vocabulary)):
        vocabulary[word] = len(vocabulary)
    return described


def words() -> Iterator[str]:
    """Words that can be spoken, each with the space before it (written as byte-level BPE writes that)."""
    syllables = ["".join(pair) for pair in product("bdfghjklmnprstvwz", "aeiou")]
    for count in (2, 3):
        for parts in product(syllables, repeat=count):
            yield "\u0120" + "".join(parts)


def token_kinds(described: Mapping[str, Any]) -> list[int]:
    """The kind of each token, by its id."""
    kinds = [NORMAL] * VOCABULARY
    for token in described["added_tokens"]:
        kinds[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    return kinds


# --- Weights -------------------------------------------------------------------------------------------------


def weights() -> Iterator[tuple[str, Floats]]:
    """Every tensor by its name in GGUF, one after the other: they need not be in memory together."""
    draw = np.random.default_rng(SEED)

    def matrix(rows: int, columns: int, deviation: float | None = None) -> Floats:
        scale = np.float32(deviation if deviation is not None else columns**-0.5)
        return draw.standard_normal((rows, columns), dtype=np.float32) * scale

    def ones(count: int) -> Floats:
        return np.ones(count, dtype=np.float32)

    yield "token_embd.weight", matrix(VOCABULARY, WIDTH, SHARPNESS * WIDTH**-0.5)  # the output's weights too
    for layer in range(LAYERS):
        parts = {
            "attn_norm": ones(WIDTH),
            "attn_q": matrix(HEADS * HEAD, WIDTH),
            "attn_k": matrix(KV_HEADS * HEAD, WIDTH),
            "attn_v": matrix(KV_HEADS * HEAD, WIDTH),
            "attn_q_norm": ones(HEAD),
            "attn_k_norm": ones(HEAD),
            "attn_output": matrix(WIDTH, HEADS * HEAD),
            "ffn_norm": ones(WIDTH),
            "ffn_gate": matrix(FEED_FORWARD, WIDTH),
            "ffn_up": matrix(FEED_FORWARD, WIDTH),
            "ffn_down": matrix(WIDTH, FEED_FORWARD),
        }
        yield from ((f"blk.{layer}.{name}.weight", values) for name, values in parts.items())
    yield "output_norm.weight", ones(WIDTH)


def packed(values: Floats, kind: str) -> Tensor:
    """Vectors stay as they are, as every GGUF file has them; matrices become ``kind`` (F32, F16 or Q8_0)."""
    if values.ndim == 1 or kind == "F32":
        return Tensor(values.shape, F32, values.tobytes())
    if kind == "F16":
        return Tensor(values.shape, F16, values.astype(np.float16).tobytes())
    return Tensor(values.shape, Q8_0, q8_0(values))


def q8_0(values: Floats) -> bytes:
    """Blocks of 32 values: a scale in half precision, then a byte for each value."""
    blocks = values.reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    records = np.empty(len(blocks), dtype=[("scale", "<f2"), ("values", "i1", BLOCK)])
    records["scale"] = scales[:, 0]
    records["values"] = np.round(blocks * inverse)
    return records.tobytes()


# --- GGUF ----------------------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value_of(value: object) -> bytes:
    """A value of the header, its type before it."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(str(one)) for one in value)
        case [int(), *_]:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    raise TypeError(f"GGUF has no place for {value!r}")


def metadata(described: Mapping[str, Any], kind: str) -> dict[str, object]:
    """The header of the model: its shape, its tokens, its chat template."""
    shape: dict[str, object] = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.freq_base": ROPE_BASE,
        "vocab_size": VOCABULARY,
    }
    return {
        "general.architecture": "qwen3",
        "general.name": "Fluid Random",
        "general.description": "Random weights, to measure speed",
        "general.file_type": FILE_TYPES[kind],
        "general.quantization_version": 2,
        **{f"qwen3.{name}": value for name, value in shape.items()},
        **tokens(described),
    }


def tokens(described: Mapping[str, Any]) -> dict[str, object]:
    """The header's part that says how text becomes tokens."""
    vocabulary = sorted(described["model"]["vocab"].items(), key=lambda item: int(item[1]))
    merges = [one if isinstance(one, str) else " ".join(one) for one in described["model"]["merges"]]
    told: dict[str, object] = {
        "model": "gpt2",
        "pre": "qwen2",
        "tokens": [word for word, _ in vocabulary],
        "token_type": token_kinds(described),
        "merges": merges,
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TURN,
        "padding_token_id": END_OF_TEXT,
        "add_bos_token": False,
    }
    return {
        **{f"tokenizer.ggml.{name}": value for name, value in told.items()},
        "tokenizer.chat_template": (DEMO / "chat_template.jinja").read_text(encoding="utf-8"),
    }


def write_gguf(path: Path, kind: str) -> None:
    """Write one of our files."""
    tensors = {name: packed(values, kind) for name, values in weights()}
    write(path, metadata(tokenizer(), kind), tensors)


def write(path: Path, header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write a GGUF file, under another name until all of it is there."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(header))
    head += b"".join(text(name) + value_of(value) for name, value in header.items())
    offset = 0
    for name, tensor in tensors.items():
        sizes = tensor.shape[::-1]  # GGUF begins with the dimension that lies together
        head += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, tensor.kind, offset)
        offset += _up(len(tensor.data))
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        file.write(head + bytes(_up(len(head)) - len(head)))
        for tensor in tensors.values():
            file.write(tensor.data + bytes(_up(len(tensor.data)) - len(tensor.data)))
    draft.replace(path)


def _up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


# --- OpenVINO ------------------------------------------------------------------------------------------------


def write_openvino(gguf: Path, folder: Path) -> None:
    """The same weights as IR, with the files beside it that our catalog and runtime read."""
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None  # importing OpenVINO reports home else
    import openvino_genai as genai

    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        source = Path(place) / gguf.name  # GenAI writes the IR beside the file
        shutil.copy(gguf, source)
        genai.LLMPipeline(str(source), "CPU", enable_save_ov_model=True)
        draft = Path(place) / "ir"
        draft.mkdir()
        for name in OV_FILES:
            (source.parent / name).replace(draft / name)
        for name, told in described_files().items():
            (draft / name).write_text(told, encoding="utf-8", newline="\n")
        draft.replace(folder)


def described_files() -> dict[str, str]:
    """What says what the IR is: the files that come with a model from the Hub."""
    settings = json.loads((DEMO / "tokenizer_config.json").read_text(encoding="utf-8"))
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": EPSILON,
        "rope_theta": ROPE_BASE,
        "tie_word_embeddings": True,
        "eos_token_id": END_OF_TURN,
        "pad_token_id": END_OF_TEXT,
    }
    return {
        "config.json": json.dumps(config, indent=2),
        "generation_config.json": generation_config(),
        "tokenizer.json": json.dumps(tokenizer(), ensure_ascii=False),
        "tokenizer_config.json": json.dumps({**settings, "model_max_length": CONTEXT}, indent=2),
        "chat_template.jinja": (DEMO / "chat_template.jinja").read_text(encoding="utf-8"),
    }


def generation_config() -> str:
    """Greedy, so that two servers draw no different lots."""
    told = {"do_sample": False, "eos_token_id": [END_OF_TURN, END_OF_TEXT], "pad_token_id": END_OF_TEXT}
    return json.dumps(told, indent=2)


def make(folder: Path = FOLDER) -> Path:
    """Make what is not there yet, in a models folder; returns that."""
    home = folder / "llm" / f"{NAME}-gguf"
    home.mkdir(parents=True, exist_ok=True)
    (home / "generation_config.json").write_text(generation_config(), encoding="utf-8", newline="\n")
    files = {kind: home / f"{NAME}-{kind}.gguf" for kind in FILE_TYPES}
    for kind, path in files.items():
        if not path.is_file():
            write_gguf(path, kind)
    if not (openvino := folder / "llm" / f"{NAME}-ov").is_dir():
        write_openvino(files["F16"], openvino)
    return folder


def main() -> None:
    """Make it, and say what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="a models folder")
    folder = make(parser.parse_args().folder)
    for file in sorted(folder.rglob("*.*")):
        print(f"{file.stat().st_size / 1e6:8.1f} MB  {file.relative_to(folder)}")


if __name__ == "__main__":
    main()
