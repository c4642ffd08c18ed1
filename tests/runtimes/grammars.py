"""Grammars tried on the real engine, under models made in memory: one that says what it is told, one that babbles."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fluid_server.runtimes.openvino_shared import import_genai
from tests.runtimes.engines import SPECS

MODEL = SPECS["fluid-tiny-ov"].path
SURE = 1000.0  # a logit beside which all others are nothing
LENGTH = 600  # tokens that the babbling model knows
LIKELY = '0123456789"{}[],:-.tfnaeT\\ '


def _graph(table: Any) -> tuple[str, Any]:
    """A language model whose logits depend on the position alone: row by row those of the table."""
    import tempfile

    import numpy as np
    import openvino
    from openvino import opset13

    def named(name: str, rank: int, kind: Any) -> Any:
        parameter = opset13.parameter(openvino.PartialShape([-1] * rank), kind, name=name)
        parameter.output(0).set_names({name})
        return parameter

    inputs = [named(name, 2, np.int64) for name in ("input_ids", "attention_mask", "position_ids")]
    inputs.append(named("beam_idx", 1, np.int32))
    rows = opset13.minimum(inputs[2], opset13.constant(len(table) - 1, dtype=np.int64))
    used = opset13.multiply(opset13.convert(inputs[0], "f32"), opset13.constant(0.0, dtype=np.float32))
    looked_up = opset13.gather(opset13.constant(table), rows, opset13.constant(0, dtype=np.int64))
    logits = opset13.add(looked_up, opset13.unsqueeze(used, opset13.constant([2], dtype=np.int64)))
    logits.output(0).set_names({"logits"})
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "graph.xml"
        openvino.save_model(_model(logits, inputs), xml, compress_to_fp16=False)
        weights = np.frombuffer(xml.with_suffix(".bin").read_bytes(), dtype=np.uint8).copy()
        return xml.read_text(encoding="utf-8"), openvino.Tensor(weights)


@cache
def _tokenizer() -> Any:
    pytest.importorskip("openvino_genai", reason="openvino-genai has no wheel for this platform")
    return import_genai().Tokenizer(str(MODEL))


def _pipeline(table: Any) -> Any:
    xml, weights = _graph(table)
    return import_genai().LLMPipeline(xml, weights, _tokenizer(), "CPU", ATTENTION_BACKEND="SDPA")


def _generate(pipeline: Any, tag: str, **settings: Any) -> tuple[str, bool]:
    import numpy as np
    import openvino

    genai = import_genai()
    config = genai.GenerationConfig(
        structured_output_config=genai.StructuredOutputConfig(structural_tags_config=tag), **settings
    )
    result = pipeline.generate(openvino.Tensor(np.array([[1]], dtype=np.int64)), config)
    ids = list(result.tokens[0])
    ended = bool(ids) and ids[-1] == _tokenizer().get_eos_token_id()
    return _text(ids[:-1] if ended else ids), ended


def _text(ids: list[int]) -> str:
    from tokenizers import Tokenizer

    return str(Tokenizer.from_file(str(MODEL / "tokenizer.json")).decode(ids, skip_special_tokens=False))


@cache
def _letters() -> dict[str, list[int]]:
    """Tokens by their text; of each text the shortest way to say it comes from single bytes."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    single = {chr(code): tokenizer.encode(chr(code), add_special_tokens=False).ids for code in range(1, 127)}
    return {letter: ids for letter, ids in single.items() if tokenizer.decode(ids) == letter}


def ebnf_tag(grammar: str) -> str:
    return json.dumps({"type": "structural_tag", "format": {"type": "grammar", "grammar": grammar}})


def says(tag: str, text: str) -> bool:
    """Whether a grammar lets a model say this text, and end there."""
    import numpy as np

    wanted = [one for letter in text for one in _letters()[letter]]
    table = np.zeros((len(wanted) + 1, len(_tokenizer().get_vocab())), dtype=np.float32)
    for row, token in enumerate([*wanted, _tokenizer().get_eos_token_id()]):
        table[row, token] = SURE
    return _generate(_pipeline(table), tag, max_new_tokens=len(wanted) + 1) == (text, True)


@cache
def _babbler() -> Any:
    import numpy as np

    table = np.zeros((1, len(_tokenizer().get_vocab())), dtype=np.float32)
    for letter in LIKELY:
        table[0, _letters()[letter]] = 4.0
    table[0, _letters()['"']] = 7.0
    return _pipeline(table)


def babbled(tag: str, seed: int) -> str | None:
    """What a model says that knows nothing, held to a grammar; None where it came to no end."""
    text, ended = _generate(_babbler(), tag, max_new_tokens=LENGTH, do_sample=True, temperature=1.0, rng_seed=seed)
    return text if ended else None


def _model(logits: Any, inputs: list[Any]) -> Any:
    import openvino

    make: Any = openvino.Model  # its published types do not know what it takes
    return make([logits], inputs, "graph")
