"""The small JSON and Jinja files beside a model's weights, in the form Hugging Face gave them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fluid_server.catalog.folder import BadModel, Folder
from fluid_server.types import Adapter, Sampling

MAX_JSON_BYTES = 32 << 20
MAX_TEMPLATE_BYTES = 1 << 20
KV_ELEMENT_BYTES = 2
OWN = "fluid.json"  # what only this server asks of a model
LONGEST_PAUSE = 30.0

_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


def read_json(folder: Folder, name: str) -> dict[str, Any]:
    """The JSON object in a file of the folder; empty if there is no such file."""
    text = read_text(folder, name, MAX_JSON_BYTES)
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{name} is not valid JSON: download the model again") from error
    if not isinstance(content, dict):
        raise BadModel(f"{name} is not a JSON object: download the model again")
    return content


def read_text(folder: Folder, name: str, limit: int) -> str | None:
    """The UTF-8 text of a file of the folder; None if there is no such file."""
    file = folder.files.get(name)
    if file is None:
        return None
    if file.size > limit:
        raise BadModel(f"{name} is too large: {file.size} bytes, at most {limit} make sense")
    return decode(file.path.read_bytes(), name)


def decode(data: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadModel(f"{name} is not UTF-8 text: download the model again") from error


def number(value: object) -> float | None:
    """A finite number that is not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 else None


def whole(value: object, *, least: int = 1) -> int | None:
    """A whole number, else None."""
    exact = number(value)
    return int(exact) if exact is not None and exact >= least and exact == int(exact) else None


def words(value: object) -> str | None:
    """Text that can be written as UTF-8, else None: JSON can smuggle in half a surrogate pair."""
    return value if isinstance(value, str) and not _LONE_SURROGATE.search(value) else None


def sampling(generation: Mapping[str, Any]) -> Sampling:
    """The model's own defaults out of its generation_config.json."""
    if generation.get("do_sample") is False:
        return Sampling(temperature=0.0, repetition_penalty=number(generation.get("repetition_penalty")))
    return Sampling(
        temperature=number(generation.get("temperature")),
        top_p=number(generation.get("top_p")),
        top_k=whole(generation.get("top_k"), least=0),
        min_p=number(generation.get("min_p")),
        repetition_penalty=number(generation.get("repetition_penalty")),
    )


def special_tokens(folder: Folder, tokenizer_config: Mapping[str, Any]) -> dict[str, str]:
    """The texts of bos, eos, pad and unk: tokenizer_config.json, then special_tokens_map.json."""
    fallback = read_json(folder, "special_tokens_map.json")
    texts = {name: _token(tokenizer_config.get(name)) or _token(fallback.get(name)) for name in _SPECIAL_TOKENS}
    return {name: text for name, text in texts.items() if text}


def _token(value: object) -> str | None:
    text = value.get("content") if isinstance(value, Mapping) else value
    return words(text)


def chat_template(folder: Folder, tokenizer_config: Mapping[str, Any]) -> str | None:
    """The first of chat_template.jinja, chat_template.json and tokenizer_config.json that has one."""
    return (
        read_text(folder, "chat_template.jinja", MAX_TEMPLATE_BYTES)
        or _template(read_json(folder, "chat_template.json").get("chat_template"))
        or _template(tokenizer_config.get("chat_template"))
    )


def _template(value: object) -> str | None:
    """A template as it is, or the one named default out of a list of {name, template}."""
    if isinstance(value, str):
        return words(value)
    named = value if isinstance(value, list) else []
    templates = [entry.get("template") for entry in named if isinstance(entry, dict) and entry.get("name") == "default"]
    return next((template for template in templates if words(template)), None)


def pause(folder: Folder) -> float | None:
    """How many seconds of silence a speech model should have between what it hears at once: ``fluid.json`` says so.

    A model that was trained on single sentences writes only one of two that it hears at once.
    """
    seconds = number(read_json(folder, OWN).get("pause"))
    return seconds if seconds and seconds <= LONGEST_PAUSE else None


def adapters(folder: Folder) -> tuple[Adapter, ...]:
    """The LoRAs of ``fluid.json``: ``{"adapters": [{"file": "tales-lora.gguf", "scale": 0.5}]}``. Errors: BadModel."""
    listed = read_json(folder, OWN).get("adapters", [])
    if not isinstance(listed, list):
        raise BadModel(f'"adapters" in {OWN} is not a list: write it as [{{"file": "NAME.gguf", "scale": 1.0}}]')
    return tuple(_adapter(folder, entry) for entry in listed)


def _adapter(folder: Folder, entry: object) -> Adapter:
    told = entry if isinstance(entry, dict) else {}
    file, scale = folder.files.get(str(told.get("file"))), number(told.get("scale", 1.0))
    if file is None:
        raise BadModel(f"{OWN} has an adapter whose file is not in the folder: put it there, or correct its name")
    if scale is None or told.keys() - {"file", "scale"}:
        raise BadModel(f'an adapter in {OWN} has a "file", a "scale" that is not negative, and nothing else')
    return Adapter(path=file.path, scale=scale)


def languages(generation: Mapping[str, Any]) -> tuple[str, ...]:
    """The language codes of a Whisper model: ``{"<|en|>": 50259}`` → ``("en",)``, sorted."""
    known = generation.get("lang_to_id")
    if isinstance(known, dict) and known:
        return tuple(sorted(key.removeprefix("<|").removesuffix("|>") for key in known if words(key)))
    return ("en",) if generation.get("is_multilingual") is False else ()


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of config.json about the language model, which vision-language models nest."""
    nested = config.get("text_config") or config.get("llm_config")
    return nested if isinstance(nested, dict) and nested else config


def architecture(config: Mapping[str, Any]) -> str | None:
    """What the model calls its kind: ``qwen3``, ``whisper``, ``bert``."""
    return words(config.get("model_type"))


def context_length(config: Mapping[str, Any]) -> int | None:
    """How many tokens fit into the model."""
    for part in (text_config(config), config):
        for key in ("max_position_embeddings", "n_positions", "seq_length", "max_target_positions"):
            if length := whole(part.get(key)):
                return length
    return None


def kv_bytes_per_token(config: Mapping[str, Any]) -> int | None:
    """What one token takes in a 16-bit KV cache; None if config.json does not tell."""
    text = text_config(config)
    layers = _caching_layers(text)
    heads = whole(text.get("num_attention_heads")) or whole(text.get("n_head"))
    width = whole(text.get("head_dim"))
    if heads and not width:
        width = (whole(text.get("hidden_size")) or whole(text.get("n_embd")) or 0) // heads
    kv_heads = whole(text.get("num_key_value_heads")) or heads
    return 2 * KV_ELEMENT_BYTES * layers * kv_heads * width if layers and kv_heads and width else None


def _caching_layers(text: Mapping[str, Any]) -> int | None:
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and "linear_attention" in kinds:
        return len(kinds) - kinds.count("linear_attention")
    return whole(text.get("num_hidden_layers")) or whole(text.get("n_layer"))
