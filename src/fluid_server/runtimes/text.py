"""TextRuntime: everything about generating text that does not depend on the engine, written once.

Prompt rendering, limits, ``n`` as n sequences, stop strings, reasoning, tool calls, finish reasons, usage and
queueing are here and in the text_* files; an engine only turns token ids into pieces of text, many sequences at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field

from fluid_server.errors import EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import BaseRuntime, Outcome, ReportProgress
from fluid_server.runtimes.text_answer import Answer
from fluid_server.runtimes.text_plan import Piece, Plan, complete, for_choice, room
from fluid_server.runtimes.text_prompt import Prompt, PromptWriter, check_length
from fluid_server.types import (
    ChoiceEnd,
    Done,
    GenerateRequest,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    Tokenized,
    TokenizeRequest,
    Usage,
)


@dataclass(slots=True)
class Line:
    """One choice of a request: its place in the engine and what it may still emit."""

    job: Job
    plan: Plan
    answer: Answer


@dataclass(slots=True)
class Job:
    """One request on its way: its prompt, and the choices that have not ended."""

    id: int
    prompt: list[int]
    open: set[int] = field(default_factory=set)
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class TextRuntime(BaseRuntime):
    """A runtime that generates text. Subclasses supply the engine: six methods."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[int, Job] = {}
        self._lines: dict[int, Line] = {}
        self._waiting: deque[int] = deque()
        self._next_sequence = 0
        self._started: set[int] = set()
        self._ready: list[Outcome] = []  # answers that need no engine

    # --- the engine, supplied by the subclass ------------------------------------------------------------

    @abstractmethod
    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the model and its tokenizer."""

    @abstractmethod
    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids. ``special`` adds what the model's tokenizer puts around plain text (such as BOS)."""

    @abstractmethod
    def decode(self, ids: list[int]) -> str:
        """Token ids to text, special tokens included. Errors: InvalidRequest for ids outside of the vocabulary."""

    @abstractmethod
    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Begin to generate; called for at most ``parallel`` sequences at a time."""

    @abstractmethod
    def advance(self) -> list[Piece]:
        """One engine step for all started sequences."""

    @abstractmethod
    def release(self, sequence: int) -> None:
        """End a sequence early and free its place. Sequences that finished by themselves are released too."""

    def leave(self, sequence: int) -> None:
        """From another thread: the sequence will be released soon. An engine may end a long step early for it."""
        return

    @property
    def leaving(self) -> int:
        """Sequences that were released and that the engine has not let go of yet."""
        return 0

    # --- the runtime's contract --------------------------------------------------------------------------

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile the chat template, load the engine, take over its limits."""
        self._spec = spec
        self._writer = PromptWriter(spec, self.encode, dialect=options.dialect)
        self._info = self.open(spec, options, progress)
        return self._info

    def add(self, request_id: int, request: Request) -> None:
        """Render, encode and check the prompt; its choices start in the next step, as far as there is room."""
        if isinstance(request, TokenizeRequest):
            self._ready += [(request_id, event) for event in self._tokenized(request)]
            return
        if not isinstance(request, GenerateRequest):
            raise InvalidRequest("This model generates text and cannot do anything else.", param="model")
        prompt = self._writer.write(request, self._info.context_length)
        plan = self._plan(request, prompt)
        job = Job(request_id, prompt.ids, set(range(request.n)))
        self._jobs[request_id] = job
        self.count(prompt_tokens=len(prompt.ids))
        for choice in range(request.n):
            self._enqueue(Line(job, for_choice(plan, choice), Answer(choice, prompt, request.tool_use)))

    def step(self) -> list[Outcome]:
        """One engine step; what it brought becomes text, ends and usage."""
        outcomes, self._ready = self._ready, []
        outcomes += self._fill()
        tokens = 0
        for piece in self.advance() if self._started or self.leaving else []:
            if (line := self._lines.get(piece.sequence)) is not None:
                tokens += piece.tokens
                self._take(piece, line, outcomes)
        self.count(completion_tokens=tokens)
        return outcomes

    def drop(self, request_id: int) -> bool:
        """Free all places of a request."""
        job = self._jobs.pop(request_id, None)
        if job is None:
            return False
        for sequence in [number for number, line in self._lines.items() if line.job is job]:
            self._forget(sequence)
        return True

    def abandon(self, request_id: int) -> None:
        """Tell the engine of all sequences of a request. Lines come and go meanwhile: only their numbers are taken in
        one go, since to make a pair of each could start Python's collector, and with it another thread."""
        for sequence in list(self._lines):
            line = self._lines.get(sequence)
            if line is not None and line.job.id == request_id:
                self.leave(sequence)

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished, or still on its way out of the engine."""
        return bool(self._jobs or self._ready) or self.leaving > 0

    @property
    def load_now(self) -> tuple[int, int]:
        """Requests with at least one choice in the engine, and requests that wait wholly."""
        running = {self._lines[sequence].job.id for sequence in self._started}
        return len(running) + self.leaving, len(self._jobs) - len(running)

    # --- inside ------------------------------------------------------------------------------------------

    def _plan(self, request: GenerateRequest, prompt: Prompt) -> Plan:
        param = "messages" if request.messages else "prompt"
        left = room(self._info.context_length, len(prompt.ids), param)
        wanted = request.max_tokens if request.max_tokens is not None else left
        return Plan(
            max_tokens=min(wanted, left),
            sampling=complete(request.sampling, self._spec.sampling),
            ignore_eos=request.ignore_eos,
            logprobs=request.logprobs,
            logit_bias=request.logit_bias,
            shape=prompt.shape,
            marks=prompt.marks,
        )

    def _tokenized(self, request: TokenizeRequest) -> list[Tokenized | Done]:
        context = self._info.context_length
        if request.ids is not None:
            answer = Tokenized(request.ids, text=self.decode(list(request.ids)), context_length=context)
        else:
            assert request.prompt is not None
            ids = self._encoded(request, request.prompt)
            pieces = tuple(self.decode([one]) for one in ids) if request.pieces else ()
            answer = Tokenized(tuple(ids), pieces, context_length=context)
        self.count(completed=1)
        return [answer, Done(Usage(prompt_tokens=len(answer.ids)))]

    def _encoded(self, request: TokenizeRequest, prompt: GenerateRequest) -> list[int]:
        if prompt.text is None:
            return self._writer.write(prompt, self._info.context_length).ids
        check_length(len(prompt.text), self._info.context_length, "prompt")
        return self.encode(prompt.text, special=request.special)

    def _enqueue(self, line: Line) -> None:
        self._next_sequence += 1
        self._lines[self._next_sequence] = line
        self._waiting.append(self._next_sequence)

    def _fill(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while self._waiting and len(self._started) + self.leaving < self._info.parallel:
            sequence = self._waiting.popleft()
            line = self._lines.get(sequence)
            if line is None:
                continue
            try:
                self.start(sequence, line.job.prompt, line.plan)
            except FluidError as error:
                outcomes += self._fail(line.job, error)
            else:
                self._started.add(sequence)
        return outcomes

    def _take(self, piece: Piece, line: Line, outcomes: list[Outcome]) -> None:
        job = line.job
        if piece.error is not None:
            outcomes += self._fail(job, piece.error)
            return
        job.completion_tokens += piece.tokens
        job.cached_tokens = max(job.cached_tokens, piece.cached_tokens)
        events, finish = line.answer.take(piece)
        for event in events:
            outcomes.append((job.id, event))
        if finish == "stop" and line.answer.is_broken:
            outcomes += self._fail(job, _format_lost())
        elif finish:
            outcomes += self._end(piece.sequence, line, finish)

    def _end(self, sequence: int, line: Line, finish: str) -> list[Outcome]:
        job, answer = line.job, line.answer
        self._forget(sequence)
        job.open.discard(answer.choice)
        job.reasoning_tokens += answer.reasoning_tokens
        outcomes: list[Outcome] = [(job.id, ChoiceEnd(answer.choice, finish))]
        if not job.open:
            del self._jobs[job.id]
            self.count(completed=1)
            outcomes.append((job.id, Done(_usage(job))))
        return outcomes

    def _fail(self, job: Job, error: FluidError) -> list[Outcome]:
        self.drop(job.id)
        self.count(failed=1)
        return [(job.id, error)]

    def _forget(self, sequence: int) -> None:
        del self._lines[sequence]
        if sequence in self._started:
            self._started.discard(sequence)
            self.release(sequence)


def _format_lost() -> FluidError:
    return EngineFailed("The engine did not keep to the answer's format. Send it again, or simplify the schema.")


def _usage(job: Job) -> Usage:
    return Usage(
        prompt_tokens=len(job.prompt),
        completion_tokens=job.completion_tokens,
        cached_tokens=job.cached_tokens,
        reasoning_tokens=job.reasoning_tokens,
    )
