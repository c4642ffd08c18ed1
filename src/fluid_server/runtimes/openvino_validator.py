"""Grammars are compiled before the engine sees them: one that fails in a step would end the engine for everybody.

OpenVINO GenAI compiles a grammar in the step that needs it first, and an error there leaves the pipeline unusable. A
second pipeline over a graph of four nodes, made in memory, survives such errors. It has the tokenizer of the real
one, and with it the same compiler and the same cache: what was compiled here is not compiled again in the step.
"""

from __future__ import annotations

import re
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.openvino_grammar import SHAPE_PARAM, structural_tag
from fluid_server.shapes import Shape

PATIENCE = 30.0  # seconds; a schema at all limits, with a vocabulary of 150,000, takes a few
TOKEN = 1  # any: the graph's answer to it is nobody's concern
INPUTS = ("input_ids", "attention_mask", "position_ids")


class GrammarCompiler:
    """Compiles one grammar after the other, in a thread of its own.

    ``model`` is the IR of the language model, of which only the size of its vocabulary matters.
    """

    def __init__(self, genai: Any, tokenizer: Any, model: Path) -> None:
        self._genai = genai
        self._tokenizer = tokenizer
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="grammars")

    def compile(self, shape: Shape) -> Future[Any]:
        """The engine's configuration for a shape, once it is known to compile.

        Errors: InvalidRequest, at once for what cannot be written down, in the future for what does not compile.
        """
        config = self._genai.StructuredOutputConfig(structural_tags_config=structural_tag(shape))
        return self._thread.submit(self._check, config)

    def close(self) -> None:
        """Compile nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _check(self, config: Any) -> Any:
        import numpy as np
        import openvino

        once = self._genai.GenerationConfig(max_new_tokens=1, structured_output_config=config)
        try:
            self._pipeline.generate(openvino.Tensor(np.array([[TOKEN]], dtype=np.int64)), once)
        except RuntimeError as error:
            raise InvalidRequest(
                f"The grammar of the answer cannot be enforced: {_reason(error)}", param=SHAPE_PARAM
            ) from error
        return config

    @cached_property
    def _pipeline(self) -> Any:
        graph, weights = _graph(_vocabulary(self._model))
        return self._genai.LLMPipeline(graph, weights, self._tokenizer, "CPU", ATTENTION_BACKEND="SDPA")


def _vocabulary(model: Path) -> int:
    """How many logits the model has for each token: more than its tokenizer has tokens, where they were padded."""
    import openvino

    return int(openvino.Core().read_model(model).output("logits").partial_shape[2].get_length())


def _graph(vocabulary: int) -> tuple[str, Any]:
    """A language model that thinks every token as likely as any other: its XML, and the tensor of its weights."""
    import numpy as np
    import openvino
    from openvino import opset13

    inputs = [_input(name, [-1, -1], np.int64) for name in INPUTS] + [_input("beam_idx", [-1], np.int32)]
    numbers = opset13.unsqueeze(opset13.convert(inputs[0], "f32"), opset13.constant([2], dtype=np.int64))
    logits = opset13.tile(numbers, opset13.constant([1, 1, vocabulary], dtype=np.int64))
    logits.output(0).set_names({"logits"})
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "graph.xml"
        openvino.save_model(_model(logits, inputs), xml)
        weights = np.frombuffer(xml.with_suffix(".bin").read_bytes(), dtype=np.uint8)
        return xml.read_text(encoding="utf-8"), openvino.Tensor(weights.copy())


def _input(name: str, shape: list[int], kind: Any) -> Any:
    import openvino
    from openvino import opset13

    parameter = opset13.parameter(openvino.PartialShape(shape), kind, name=name)
    parameter.output(0).set_names({name})
    return parameter


def _reason(error: RuntimeError) -> str:
    """What xgrammar says of the grammar, without where and when it says so."""
    reason = plain_reason(error).rpartition("Invalid structural tag error:")[2]
    return re.sub(r"^(\[[\d:]+\] )?(\S+\.(cc|h|cpp):\d+: )?", "", reason.strip())


def _model(logits: Any, inputs: list[Any]) -> Any:
    import openvino

    make: Any = openvino.Model  # its published types do not know what it takes
    return make([logits], inputs, "graph")
