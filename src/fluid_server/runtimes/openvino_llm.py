"""OpenVINOLLMRuntime: OpenVINO GenAI's ContinuousBatchingPipeline; on the NPU its stateful pipeline."""

from __future__ import annotations

from functools import cache

from fluid_server.content.stream import TokenDecoder
from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.runtimes.base import ReportProgress, plain_reason
from fluid_server.runtimes.openvino_batching import Batching
from fluid_server.runtimes.openvino_engines import Engine, Output
from fluid_server.runtimes.openvino_grammar import has_free_text
from fluid_server.runtimes.openvino_shared import import_genai
from fluid_server.runtimes.openvino_stateful import Stateful
from fluid_server.runtimes.openvino_tokens import Keeping, open_tokenizer
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions, TokenLogprob


class OpenVINOLLMRuntime(TextRuntime):
    """A language model in OpenVINO IR. CPU and GPU batch all running sequences into each step."""

    name = "openvino"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load tokenizer and pipeline; the KV cache is sized from the model and the memory budget."""
        genai = import_genai()
        progress("reading tokenizer.json", None)
        tokenizer = self._tokenizer = open_tokenizer(spec.path, genai)
        self._keeping = cache(lambda marks: Keeping(tokenizer, marks))
        progress(f"compiling for {options.device}", None)
        self._engine = engine_for(options.device)(genai, spec, options)
        self.steady = self._engine.steady
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
        self._decoders[sequence] = self._decoder(plan)

    def _decoder(self, plan: Plan) -> TokenDecoder:
        """Special tokens are no text, but for the marks that structure an answer.

        In an answer that a grammar describes to the letter they are text as well: the grammar has counted it.
        """
        if plan.shape is not None and not has_free_text(plan.shape):
            kept = self._keeping(None)
        else:
            kept = self._keeping(plan.marks)
        return TokenDecoder(kept, kept.alone)

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

    def close(self) -> None:
        """Wait for nothing: the process ends after this."""
        self._engine.close()

    def _piece(self, output: Output) -> Piece:
        decoder = self._decoders[output.sequence]
        text = "" if output.logprobs else decoder.feed(output.ids)
        piece = Piece(output.sequence, text, output.count, output.finish, output.cached, output.error)
        if output.logprobs:
            piece.logprobs = tuple(
                TokenLogprob(token, decoder.feed([token]), logprob, self._engine.bytes_of(token))
                for token, logprob in zip(output.ids, output.logprobs, strict=True)
            )
            piece.text = "".join(one.text for one in piece.logprobs)
        if output.finish is not None:
            piece.text += decoder.flush()
        return piece

    @property
    def leaving(self) -> int:
        """Sequences that were released and whose KV blocks the engine has not freed yet."""
        return self._engine.leaving


def engine_for(device: str) -> type[Engine]:
    """The NPU knows no paged attention: one request at a time there, batches everywhere else."""
    return Stateful if device.startswith("NPU") else Batching
