"""Write the trained language model as a Hugging Face folder, as GGUF (F16 and Q8_0) and as OpenVINO IR.

    python export.py build/demo-models/language/checkpoint.pt build/demo-models/llm --openvino

makes hf/, fluid-tiny-gguf/ and fluid-tiny-ov/ in build/demo-models/llm.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from data import TEMPLATE
from gguf import GGMLQuantizationType, LlamaFileType
from model import (
    CONTEXT,
    HEAD_WIDTH,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    NORM_EPSILON,
    ROPE_BASE,
    VOCABULARY,
    WIDTH,
)
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
Weights = dict[str, torch.Tensor]  # named as in a Hugging Face folder, less the leading "model."


def load(source: Path) -> tuple[Weights, Tokenizer]:
    """Read a Hugging Face folder, or a training checkpoint with tokenizer.json beside it."""
    if source.is_dir():
        weights = load_file(source / "model.safetensors")
        tokenizer_file = source / "tokenizer.json"
    else:
        weights = torch.load(source, weights_only=True)
        tokenizer_file = source.with_name("tokenizer.json")
    plain = {name.removeprefix("model."): weight.contiguous().float() for name, weight in weights.items()}
    return plain, Tokenizer.from_file(str(tokenizer_file))


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def model_config(end_of_text: int, end_of_turn: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_WIDTH,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_BASE,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": end_of_turn,
        "pad_token_id": end_of_text,
        "torch_dtype": "float32",
    }


def generation_config(end_of_text: int, end_of_turn: int) -> dict[str, Any]:
    return {"eos_token_id": [end_of_turn, end_of_text], "pad_token_id": end_of_text, "do_sample": False}


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": None,
    "eos_token": END_OF_TURN,
    "pad_token": END_OF_TEXT,
    "additional_special_tokens": ["<|im_start|>", END_OF_TURN],
    "model_max_length": CONTEXT,
    "clean_up_tokenization_spaces": False,
    "add_bos_token": False,
}


def write_hugging_face(folder: Path, weights: Weights, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ends = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(END_OF_TURN)
    named = {f"model.{name}": weight for name, weight in weights.items()}
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", model_config(*ends))
    write_json(folder / "generation_config.json", generation_config(*ends))
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")


# GGUF: the order of the entries is the order in the file.


def add_model_facts(writer: gguf.GGUFWriter, file_type: LlamaFileType) -> None:
    writer.add_name("Fluid Tiny")
    writer.add_author("Fluid Server")
    writer.add_license("apache-2.0")
    writer.add_description("Demo model trained on synthetic dialogues")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_vocab_size(VOCABULARY)
    writer.add_key_length(HEAD_WIDTH)
    writer.add_value_length(HEAD_WIDTH)
    writer.add_file_type(file_type)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    described = json.loads(tokenizer.to_str())
    types = [gguf.TokenType.NORMAL] * VOCABULARY
    for token in described["added_tokens"]:
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in described["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([tokenizer.id_to_token(i) for i in range(VOCABULARY)])
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokenizer.token_to_id(END_OF_TURN))
    writer.add_eot_token_id(tokenizer.token_to_id(END_OF_TURN))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp rotates neighbouring values, Hugging Face the two halves of a head: reorder the rows."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def gguf_tensors(weights: Weights) -> Weights:
    tensors = {
        "token_embd.weight": weights["embed_tokens.weight"],
        "output_norm.weight": weights["norm.weight"],
    }
    for i in range(LAYERS):
        layer = {
            name.removeprefix(f"layers.{i}."): weight
            for name, weight in weights.items()
            if name.startswith(f"layers.{i}.")
        }
        block = {
            "attn_norm": layer["input_layernorm.weight"],
            "ffn_norm": layer["post_attention_layernorm.weight"],
            "attn_q": interleaved(layer["self_attn.q_proj.weight"], HEADS),
            "attn_k": interleaved(layer["self_attn.k_proj.weight"], KV_HEADS),
            "attn_v": layer["self_attn.v_proj.weight"],
            "attn_output": layer["self_attn.o_proj.weight"],
            "ffn_gate": layer["mlp.gate_proj.weight"],
            "ffn_up": layer["mlp.up_proj.weight"],
            "ffn_down": layer["mlp.down_proj.weight"],
        }
        tensors |= {f"blk.{i}.{name}.weight": weight for name, weight in block.items()}
    return tensors


def add_tensor(writer: gguf.GGUFWriter, name: str, weight: torch.Tensor, file_type: LlamaFileType) -> None:
    values = weight.numpy()
    if values.ndim == 1:
        writer.add_tensor(name, values.astype(np.float32))
    elif file_type == LlamaFileType.MOSTLY_Q8_0:
        quantized = gguf.quants.quantize(values, GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, quantized, raw_dtype=GGMLQuantizationType.Q8_0)
    else:
        writer.add_tensor(name, values.astype(np.float16))


def write_gguf(path: Path, weights: Weights, tokenizer: Tokenizer, file_type: LlamaFileType) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    add_model_facts(writer, file_type)
    add_tokenizer(writer, tokenizer)
    for name, weight in gguf_tensors(weights).items():
        add_tensor(writer, name, weight, file_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gguf_folder(folder: Path, weights: Weights, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf(folder / "fluid-tiny-F16.gguf", weights, tokenizer, LlamaFileType.MOSTLY_F16)
    write_gguf(folder / "fluid-tiny-Q8_0.gguf", weights, tokenizer, LlamaFileType.MOSTLY_Q8_0)
    ends = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(END_OF_TURN)
    write_json(folder / "generation_config.json", generation_config(*ends))


def write_openvino(source: Path, folder: Path) -> None:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing OpenVINO reports home else
    from optimum.exporters.openvino import main_export
    from optimum.intel import OVConfig

    task, config = "text-generation-with-past", OVConfig(dtype="fp16")
    main_export(str(source), output=folder, task=task, convert_tokenizer=True, ov_config=config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a checkpoint.pt of train.py, or a Hugging Face folder")
    parser.add_argument("folder", type=Path, help="where the models go")
    parser.add_argument("--openvino", action="store_true", help="write OpenVINO IR too (needs optimum-intel)")
    args = parser.parse_args()
    weights, tokenizer = load(args.source)
    write_hugging_face(args.folder / "hf", weights, tokenizer)
    write_gguf_folder(args.folder / "fluid-tiny-gguf", weights, tokenizer)
    if args.openvino:
        write_openvino(args.folder / "hf", args.folder / "fluid-tiny-ov")


if __name__ == "__main__":
    main()
