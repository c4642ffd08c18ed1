"""OpenVINOLLMRuntime: OpenVINO GenAI's ContinuousBatchingPipeline; on the NPU its stateful pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from fluid_server.content.stream import TokenDecoder
from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.runtimes.base import ReportProgress, plain_reason
from fluid_server.runtimes.openvino_engines import Output, engine_for
from fluid_server.runtimes.openvino_shared import import_genai
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions


class OpenVINOLLMRuntime(TextRuntime):
    """A language model in OpenVINO IR. CPU and GPU batch all running sequences into each step."""

    name = "openvino"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load tokenizer and pipeline; the KV cache is sized from the model and the memory budget."""
        genai = import_genai()
        progress("reading tokenizer.json", None)
        self._tokenizer = open_tokenizer(spec.path, genai)
        progress(f"compiling for {options.device}", None)
        self._engine = engine_for(options.device)(genai, spec, options)
        self._decoders: dict[int, TokenDecoder] = {}
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=self._engine.parallel,
            engine=f"openvino-genai {genai.__version__}",
            context_length=self._engine.context_length,
            notes=self._engine.notes,
        )

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids."""
        return self._tokenizer.encode(text, special=special)

    def decode(self, ids: list[int]) -> str:
        """Token ids to text, special tokens included."""
        self._check_ids(ids)
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Hand the sequence to the engine. Errors: InvalidRequest for ids that the vocabulary does not have."""
        self._check_ids(prompt)
        try:
            self._engine.start(sequence, prompt, plan)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise EngineFailed(f"OpenVINO refused the request: {plain_reason(error)}") from error
        self._decoders[sequence] = TokenDecoder(self._tokenizer)

    def _check_ids(self, ids: list[int]) -> None:
        limit = self._tokenizer.vocabulary
        if ids and (min(ids) < 0 or max(ids) >= limit):
            raise InvalidRequest(f"The prompt has token ids outside of 0 to {limit - 1}.", param="prompt")

    def advance(self) -> list[Piece]:
        """One engine step; its token ids become text."""
        return [self._piece(output) for output in self._engine.step()]

    def release(self, sequence: int) -> None:
        """Free the sequence's KV blocks at the engine's next step."""
        del self._decoders[sequence]
        self._engine.release(sequence)

    def _piece(self, output: Output) -> Piece:
        decoder = self._decoders[output.sequence]
        ids = output.ids
        text = decoder.feed(ids)
        if output.finish is not None:
            text += decoder.flush()
        return Piece(output.sequence, text, output.count, output.finish, error=output.error)

    @property
    def leaving(self) -> int:
        """Sequences that were released and whose KV blocks the engine has not freed yet."""
        return self._engine.leaving


# --- tokenizers --------------------------------------------------------------------------------------------


class _Tokenizer(Protocol):
    vocabulary: int

    def encode(self, text: str, *, special: bool) -> list[int]: ...
    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str: ...


class _FastTokenizer:
    """`tokenizers`, where the model has a tokenizer.json: the same ids as OpenVINO's, a hundred times faster."""

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, *, special: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))


class _PipelineTokenizer:
    """OpenVINO's own tokenizer, for folders without a tokenizer.json."""

    def __init__(self, folder: Path, genai: Any) -> None:
        self._tokenizer = genai.Tokenizer(str(folder))
        self.vocabulary = len(self._tokenizer.get_vocab())

    def encode(self, text: str, *, special: bool) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=special).input_ids
        return [int(token) for token in ids.data.reshape(-1)]

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)) if ids else ""


def open_tokenizer(folder: Path, genai: Any) -> _Tokenizer:
    """The faster of the tokenizers that the folder has."""
    file = folder / "tokenizer.json"
    return _FastTokenizer(file) if file.is_file() else _PipelineTokenizer(folder, genai)
