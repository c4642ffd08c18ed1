"""Write the trained speech model as a Hugging Face folder and as OpenVINO IR.

    python export.py build/demo-models/speech/checkpoint.pt build/demo-models/whisper --openvino

makes hf/ and fluid-tiny-whisper-ov/ in build/demo-models/whisper.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from model import MEL_BANDS, whisper_config
from tokenizers import AddedToken
from transformers import (
    GenerationConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

END, START = "<|endoftext|>", "<|startoftranscript|>"
NEVER_SAID = (START, "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>")


def whisper_tokenizer(file: Path) -> WhisperTokenizer:
    described = json.loads(file.read_text(encoding="utf-8"))
    added = sorted(described["added_tokens"], key=lambda token: token["id"])
    names = [token["content"] for token in added]
    vocabulary = {**described["model"]["vocab"], END: added[0]["id"]}
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in described["model"]["merges"]]
    ends = dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), END)
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=merges, **ends)
    tokenizer.add_special_tokens({"extra_special_tokens": [name for name in names[1:] if "." not in name]})
    timestamps = [AddedToken(name, special=False, normalized=False) for name in names if "." in name]
    tokenizer.add_tokens(timestamps)
    moved = [token for token in added if tokenizer.convert_tokens_to_ids(token["content"]) != token["id"]]
    if moved:
        raise SystemExit(f"these tokens got another id than in {file}: {moved[:3]}")
    return tokenizer


def load_model(source: Path, tokenizer: WhisperTokenizer) -> WhisperForConditionalGeneration:
    """Read a Hugging Face folder, or a training checkpoint."""
    if source.is_dir():
        return WhisperForConditionalGeneration.from_pretrained(source)
    ends = tokenizer.convert_tokens_to_ids(END), tokenizer.convert_tokens_to_ids(START)
    model = WhisperForConditionalGeneration(whisper_config(len(tokenizer), *ends))
    model.load_state_dict(torch.load(source, weights_only=True, map_location="cpu")["model"])
    return model.eval()


def generation_config(tokenizer: WhisperTokenizer) -> GenerationConfig:
    token = tokenizer.convert_tokens_to_ids
    config = GenerationConfig(
        bos_token_id=token(END),
        eos_token_id=token(END),
        pad_token_id=token(END),
        decoder_start_token_id=token(START),
        max_length=448,
    )
    config.is_multilingual = True
    config.return_timestamps = False
    config.lang_to_id = {name: token(name) for name in ("<|en|>", "<|fr|>")}
    config.task_to_id = {name: token(f"<|{name}|>") for name in ("transcribe", "translate")}
    config.no_timestamps_token_id = token("<|notimestamps|>")
    config.prev_sot_token_id = token("<|startofprev|>")
    config.max_initial_timestamp_index = 75
    config.suppress_tokens = [token(name) for name in NEVER_SAID]
    config.begin_suppress_tokens = [token("Ġ")]
    config.alignment_heads = [[1, 0], [1, 1]]
    return config


def write_hugging_face(folder: Path, model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer) -> None:
    features = WhisperFeatureExtractor(feature_size=MEL_BANDS)
    model.generation_config = generation_config(tokenizer)
    model.save_pretrained(folder)
    WhisperProcessor(feature_extractor=features, tokenizer=tokenizer).save_pretrained(folder)
    features.save_pretrained(folder)  # OpenVINO GenAI wants preprocessor_config.json beside the processor's own


def write_openvino(source: Path, folder: Path) -> None:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing OpenVINO reports home else
    from optimum.exporters.openvino import main_export
    from optimum.intel import OVConfig

    task, config = "automatic-speech-recognition-with-past", OVConfig(dtype="fp16")
    main_export(str(source), output=folder, task=task, convert_tokenizer=True, ov_config=config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a checkpoint.pt of train.py, or a Hugging Face folder")
    parser.add_argument("folder", type=Path, help="where the models go")
    parser.add_argument("--openvino", action="store_true", help="write OpenVINO IR too (needs optimum-intel)")
    args = parser.parse_args()
    beside = args.source if args.source.is_dir() else args.source.parent
    tokenizer = whisper_tokenizer(beside / "tokenizer.json")
    write_hugging_face(args.folder / "hf", load_model(args.source, tokenizer), tokenizer)
    if args.openvino:
        write_openvino(args.folder / "hf", args.folder / "fluid-tiny-whisper-ov")


if __name__ == "__main__":
    main()
