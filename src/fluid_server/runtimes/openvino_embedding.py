"""OpenVINOEmbeddingRuntime: embedding models in OpenVINO IR, through OpenVINO itself.

OpenVINO GenAI's TextEmbeddingPipeline takes texts alone, cuts long ones without a word and tells no counts; the network
is the same. Its vectors are what the tests hold these against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.embedding import EmbeddingRuntime, Vectors
from fluid_server.runtimes.openvino_shared import import_genai, properties
from fluid_server.runtimes.openvino_tokens import open_tokenizer
from fluid_server.runtimes.text_plan import context_limit
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions

Ints = npt.NDArray[np.int64]
GRAPH = "openvino_model.xml"
WHOLE = "sentence_embedding"  # the output of a graph that pools by itself
BY_TOKEN = ("last_hidden_state", "token_embeddings")
READ_LEFT_TO_RIGHT = ("qwen", "mistral", "llama", "phi", "gemma", "minicpm")  # their last token has seen all others


class OpenVINOEmbeddingRuntime(EmbeddingRuntime):
    """An embedding model on CPU or GPU."""

    name = "openvino-embedding"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile the model for the device."""
        if options.device.startswith("NPU"):
            raise EngineFailed("embedding models run on CPU and GPU here: an NPU wants all texts of one length")
        genai = import_genai()  # first: it sees to it that OpenVINO comes quietly
        import openvino

        progress(f"compiling for {options.device}", None)
        compiled = openvino.Core().compile_model(str(spec.path / GRAPH), options.device, properties(options))
        self._request = compiled.create_infer_request()
        self._output, by_token = _output(compiled)
        self._inputs = _inputs(compiled)
        self._pooling = (spec.pooling or _usual(spec.architecture)) if by_token else None
        self._tokenizer = open_tokenizer(spec.path, genai)
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=options.parallel,
            engine=f"openvino-genai {genai.__version__}",
            context_length=context_limit(options, spec),
            notes=(_unsaid(self._pooling),) if self._pooling and not spec.pooling else (),
        )

    def encode(self, text: str) -> list[int]:
        """Text to token ids."""
        return self._tokenizer.encode(text, special=True)

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are."""
        return self._tokenizer.vocabulary

    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of a batch, padded on the right to its longest text."""
        lengths = np.array([len(ids) for ids in batch], np.int64)
        mask = (np.arange(lengths.max())[None, :] < lengths[:, None]).astype(np.int64)
        ids = np.zeros(mask.shape, np.int64)
        for row, own in zip(ids, batch, strict=True):
            row[: len(own)] = own
        values = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.tile(np.arange(mask.shape[1], dtype=np.int64), (len(batch), 1)),
        }
        self._request.infer({name: values[name] for name in self._inputs})
        found = np.asarray(self._request.get_tensor(self._output).data, np.float32)
        return found if self._pooling is None else pooled(found, lengths, self._pooling)

    def close(self) -> None:
        """Nothing: the process ends after this."""


def pooled(states: Vectors, lengths: Ints, pooling: str) -> Vectors:
    """From vectors of tokens, shape [texts, tokens, width], to one for each text: mean, cls or last."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[np.arange(len(lengths)), lengths - 1]
    mask = np.arange(states.shape[1])[None, :] < lengths[:, None]
    summed = np.einsum("btw,bt->bw", states, mask.astype(np.float32))
    return np.asarray(summed / lengths[:, None], np.float32)


def _usual(architecture: str | None) -> str:
    """What models of this kind mostly do, where the folder does not say."""
    return "last" if (architecture or "").startswith(READ_LEFT_TO_RIGHT) else "cls"


def _unsaid(pooling: str) -> str:
    token = {"cls": "first", "last": "last"}[pooling]
    return (
        f"its folder does not say how its vectors are put together (1_Pooling/config.json): the {token} token's is "
        f'taken. If that is wrong, write {{"pooling": "mean"}} (or cls, last) into its fluid.json'
    )


def _output(compiled: Any) -> tuple[Any, bool]:
    """The output that holds the vectors, and whether they are those of tokens."""
    named = {name: output for output in compiled.outputs for name in output.get_names()}
    if WHOLE in named:
        return named[WHOLE], False
    found = next((named[name] for name in BY_TOKEN if name in named), compiled.outputs[0])
    return found, True


def _inputs(compiled: Any) -> list[str]:
    """The inputs' names. Errors: EngineFailed for one that nobody here fills."""
    known = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
    found = [next(iter(one.get_names() & known), "") for one in compiled.inputs]
    if not all(found):
        odd = next(one.any_name for one, name in zip(compiled.inputs, found, strict=True) if not name)
        raise EngineFailed(f"its graph wants the input '{odd}', which embedding models do not have")
    return found
