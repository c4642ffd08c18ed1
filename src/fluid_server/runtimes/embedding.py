"""EmbeddingRuntime: everything about embedding texts that does not depend on the engine, written once.

Reading, limits, batches over all requests, ``dimensions``, length and usage are here; an engine only turns token ids
into vectors, a batch at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import BaseRuntime, Outcome, ReportProgress
from fluid_server.runtimes.embedding_batch import limits_for, together
from fluid_server.types import Done, Embedded, EmbedRequest, ModelInfo, ModelSpec, Request, RuntimeOptions, Usage

Vectors = npt.NDArray[np.float32]
READ_AT_ONCE = 20_000  # characters of texts that are read in one step: about 20 ms, in which all others stand still
LONGEST_TOKEN = 64  # characters; tokens are 3 to 5 on average, so a longer text cannot fit and is not read
TINIEST = np.float32(1e-30)  # a vector of this length or less has no direction and stays as it is


@dataclass(slots=True)
class _Text:
    """One input that was read."""

    index: int
    ids: Sequence[int]


@dataclass(slots=True)
class _Job:
    """One request on its way: how many of its inputs were read, and those that wait to be embedded."""

    id: int
    request: EmbedRequest
    read: int = 0
    tokens: int = 0
    todo: list[_Text] = field(default_factory=list)

    @property
    def is_read(self) -> bool:
        """Whether all inputs are token ids."""
        return self.read == len(self.request.inputs)


class EmbeddingRuntime(BaseRuntime):
    """A runtime that embeds texts. Subclasses supply the engine: four methods.

    One step reads texts of one request, or embeds one batch. Requests take turns; into a batch goes what fits of all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: deque[_Job] = deque()  # whose turn it is first

    # --- the engine, supplied by the subclass ------------------------------------------------------------

    @abstractmethod
    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the model and its tokenizer. Its context length must be known."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Text to token ids, with what the model's tokenizer puts around plain text."""

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """How many tokens there are; their ids are 0 to this, exclusive."""

    @abstractmethod
    def embed(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of token ids, a row for each, of any length. Errors: FluidError where this batch alone failed."""

    # --- the runtime's contract --------------------------------------------------------------------------

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the engine, take over its limits, and see how long its vectors are."""
        info = self.open(spec, options, progress)
        assert info.context_length is not None
        self._context = info.context_length
        self._limits = limits_for(options.device)
        self._width = self.embed([[0]]).shape[1]
        return info

    def add(self, request_id: int, request: Request) -> None:
        """Check what can be told at once; texts are read in the steps that follow."""
        if not isinstance(request, EmbedRequest):
            raise InvalidRequest("This model embeds texts and cannot do anything else.", param="model")
        if request.dimensions is not None and request.dimensions > self._width:
            raise InvalidRequest(
                f"This model's vectors have {self._width} dimensions, so 'dimensions' may be at most {self._width} "
                f"(got {request.dimensions}).",
                param="dimensions",
            )
        self._jobs.append(_Job(request_id, request))

    def step(self) -> list[Outcome]:
        """Read more of the request whose turn it is, or embed a batch that begins with its next text."""
        job = self._jobs[0]
        self._jobs.rotate(-1)
        if job.is_read:
            return self._embed_with(job)
        try:
            self._read(job)
        except FluidError as error:
            return self._fail(job, error)
        return []

    def drop(self, request_id: int) -> bool:
        """Forget a request; it is in no batch between two steps."""
        kept = deque(job for job in self._jobs if job.id != request_id)
        was_here = len(kept) < len(self._jobs)
        self._jobs = kept
        return was_here

    @property
    def busy(self) -> bool:
        """Whether there is a request."""
        return bool(self._jobs)

    @property
    def load_now(self) -> tuple[int, int]:
        """All requests are under way: each has its turn."""
        return len(self._jobs), 0

    # --- inside ------------------------------------------------------------------------------------------

    def _read(self, job: _Job) -> None:
        """Some of the inputs, as token ids. Errors: InvalidRequest naming the input."""
        left = READ_AT_ONCE
        while left > 0 and not job.is_read:
            index = job.read
            one = job.request.inputs[index]
            ids = self._ids(one, "input" if len(job.request.inputs) == 1 else f"input[{index}]")
            left -= len(one)
            job.read += 1
            job.tokens += len(ids)
            job.todo.append(_Text(index, ids))
        if job.is_read:
            self.count(prompt_tokens=job.tokens)
            job.todo.sort(key=lambda text: -len(text.ids))

    def _ids(self, one: str | tuple[int, ...], name: str) -> Sequence[int]:
        if isinstance(one, str):
            if len(one) > self._context * LONGEST_TOKEN:
                raise self._too_long(f"{len(one)} characters", name)
            ids: Sequence[int] = array("i", self.encode(one))  # a list takes five times as much
        else:
            ids = one
            self._check(one, name)
        if not ids:
            raise InvalidRequest(f"There is nothing in '{name}' that this model can read.", param=name)
        if len(ids) > self._context:
            raise self._too_long(f"{len(ids)} tokens", name)
        return ids

    def _check(self, ids: tuple[int, ...], name: str) -> None:
        odd = next((token for token in ids if not 0 <= token < self.vocabulary_size), None)
        if odd is not None:
            raise InvalidRequest(
                f"'{name}' has the token {odd}, but this model's tokens are 0 to {self.vocabulary_size - 1}.",
                param=name,
            )

    def _too_long(self, length: str, name: str) -> ContextTooLong:
        return ContextTooLong(
            f"This model reads texts of at most {self._context} tokens, and '{name}' has {length}. "
            "Cut it into parts and embed each.",
            param=name,
        )

    def _embed_with(self, job: _Job) -> list[Outcome]:
        """A batch that begins with this request's next text, and what it ends."""
        jobs = [job, *(other for other in self._jobs if other is not job and other.is_read)]
        counts = together([[len(text.ids) for text in one.todo[: self._limits.rows]] for one in jobs], self._limits)
        taking = [(one, one.todo[:count]) for one, count in zip(jobs, counts, strict=True) if count]
        try:
            vectors = self.embed([text.ids for _, texts in taking for text in texts])
        except FluidError as error:
            return [outcome for one, _ in taking for outcome in self._fail(one, error)]
        outcomes: list[Outcome] = []
        for one, texts in taking:
            own, vectors = vectors[: len(texts)], vectors[len(texts) :]
            outcomes += self._hand_out(one, texts, own)
        return outcomes

    def _hand_out(self, job: _Job, texts: Sequence[_Text], vectors: Vectors) -> list[Outcome]:
        """A request's part of a batch, and its end with its last. What is no number ends this request alone."""
        if not np.isfinite(vectors).all():
            return self._fail(
                job, EngineFailed("The model's vectors hold what are no numbers: it may want another precision.")
            )
        outcomes: list[Outcome] = [
            (job.id, Embedded(text.index, _finished(vector, job.request.dimensions)))
            for text, vector in zip(texts, vectors, strict=True)
        ]
        del job.todo[: len(texts)]
        return outcomes if job.todo else outcomes + self._end(job)

    def _end(self, job: _Job) -> list[Outcome]:
        self._jobs.remove(job)
        self.count(completed=1)
        return [(job.id, Done(Usage(prompt_tokens=job.tokens)))]

    def _fail(self, job: _Job, error: FluidError) -> list[Outcome]:
        self._jobs.remove(job)
        self.count(failed=1)
        return [(job.id, error)]


def _finished(vector: Vectors, dimensions: int | None) -> bytes:
    """The first of a vector's numbers, made as long as 1 together."""
    kept = vector[:dimensions]
    length = np.sqrt(np.dot(kept, kept))
    return bytes((kept / length if length > TINIEST else kept).astype("<f4").tobytes())
