"""TextRuntime: everything about generating text that does not depend on the engine, written once.

Prompt rendering, limits, ``n`` as n sequences, stop strings, finish reasons, usage and queueing are here; an
engine only turns token ids into pieces of text, many sequences at once.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fluid_server.content.stream import StopScanner
from fluid_server.content.template import ChatTemplate
from fluid_server.errors import ContextTooLong, FluidError, InvalidRequest
from fluid_server.runtimes.base import COLDEST, BaseRuntime, Outcome, ReportProgress
from fluid_server.types import (
    ChoiceEnd,
    Done,
    GenerateRequest,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    Sampling,
    TextPiece,
    Usage,
)

T = TypeVar("T")
MAX_SEED = 2**31 - 1
UNKNOWN_CONTEXT = 4096  # tokens, for a model that does not say
LONGEST_TOKEN = 64  # characters; tokens are 3 to 5 on average, so a longer prompt cannot fit and is not encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an engine is told about one sequence. Sampling is complete here: no field of it is None."""

    max_tokens: int
    sampling: Sampling
    ignore_eos: bool = False


@dataclass(slots=True)
class Piece:
    """What one step brought one sequence. ``finish`` is "stop", "length" or None; ``error`` ends the request."""

    sequence: int
    text: str = ""
    tokens: int = 0
    finish: str | None = None
    cached_tokens: int = 0
    error: FluidError | None = None


@dataclass(slots=True)
class Line:
    """One choice of a request: its place in the engine and what it may still emit."""

    choice: int
    job: Job
    plan: Plan
    stops: StopScanner


@dataclass(slots=True)
class Job:
    """One request on its way: its prompt, and the choices that have not ended."""

    id: int
    prompt: list[int]
    open: set[int] = field(default_factory=set)
    completion_tokens: int = 0
    cached_tokens: int = 0


class TextRuntime(BaseRuntime):
    """A runtime that generates text. Subclasses supply the engine: five methods."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[int, Job] = {}
        self._lines: dict[int, Line] = {}
        self._waiting: deque[int] = deque()
        self._next_sequence = 0
        self._started: set[int] = set()

    # --- the engine, supplied by the subclass ------------------------------------------------------------

    @abstractmethod
    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the model and its tokenizer."""

    @abstractmethod
    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids. ``special`` adds what the model's tokenizer puts around plain text (such as BOS)."""

    @abstractmethod
    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Begin to generate; called for at most ``parallel`` sequences at a time."""

    @abstractmethod
    def advance(self) -> list[Piece]:
        """One engine step for all started sequences."""

    @abstractmethod
    def release(self, sequence: int) -> None:
        """End a sequence early and free its place. Sequences that finished by themselves are released too."""

    @property
    def leaving(self) -> int:
        """Sequences that were released and that the engine has not let go of yet."""
        return 0

    # --- the runtime's contract --------------------------------------------------------------------------

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile the chat template, load the engine, take over its limits."""
        self._spec = spec
        self._template = ChatTemplate(spec.chat_template, spec.special_tokens)
        self._info = self.open(spec, options, progress)
        return self._info

    def add(self, request_id: int, request: Request) -> None:
        """Render, encode and check the prompt; its choices start in the next step, as far as there is room."""
        if not isinstance(request, GenerateRequest):
            raise InvalidRequest("This model generates text and cannot do anything else.", param="model")
        prompt = self._prompt(request)
        plan = self._plan(request, len(prompt))
        job = Job(request_id, prompt, set(range(request.n)))
        self._jobs[request_id] = job
        self.count(prompt_tokens=len(prompt))
        stops = (*request.stop, *self._template.stops) if request.messages else request.stop
        for choice in range(request.n):
            self._enqueue(Line(choice, job, _for_choice(plan, choice), StopScanner(stops)))

    def step(self) -> list[Outcome]:
        """One engine step; what it brought becomes text, ends and usage."""
        outcomes = self._fill()
        for piece in self.advance() if self._started or self.leaving else []:
            line = self._lines.get(piece.sequence)
            if line is not None:
                outcomes += self._take(piece, line)
        return outcomes

    def drop(self, request_id: int) -> bool:
        """Free all places of a request."""
        job = self._jobs.pop(request_id, None)
        if job is None:
            return False
        for sequence in [number for number, line in self._lines.items() if line.job is job]:
            self._forget(sequence)
        return True

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished, or still on its way out of the engine."""
        return bool(self._jobs) or self.leaving > 0

    @property
    def load_now(self) -> tuple[int, int]:
        """Requests with at least one choice in the engine, and requests that wait wholly."""
        running = {self._lines[sequence].job.id for sequence in self._started}
        return len(running) + self.leaving, len(self._jobs) - len(running)

    # --- inside ------------------------------------------------------------------------------------------

    def _prompt(self, request: GenerateRequest) -> list[int]:
        if request.tokens is not None:
            return list(request.tokens)
        if request.messages is not None:
            self._check_length(sum(len(message.content) for message in request.messages), "messages")
            text = self._template.render(request.messages, **request.template_kwargs)
            ids = self.encode(text, special=False)
        else:
            self._check_length(len(request.text or ""), "prompt")
            ids = self.encode(request.text or "", special=True)
        if not ids:
            raise InvalidRequest("The prompt is empty: send at least one token.", param="prompt")
        return ids

    def _check_length(self, characters: int, param: str) -> None:
        """Encoding takes a second a megabyte, in which all others stand still: not for what cannot fit anyway."""
        context = self._info.context_length
        if context is not None and characters > context * LONGEST_TOKEN:
            raise ContextTooLong(
                f"This model's context holds {context} tokens, and the {param} have {characters} characters. "
                "Shorten them.",
                param=param,
            )

    def _plan(self, request: GenerateRequest, prompt_tokens: int) -> Plan:
        room = _room(self._info.context_length, prompt_tokens, "messages" if request.messages else "prompt")
        wanted = request.max_tokens if request.max_tokens is not None else room
        return Plan(
            max_tokens=min(wanted, room),
            sampling=complete(request.sampling, self._spec.sampling),
            ignore_eos=request.ignore_eos,
        )

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

    def _take(self, piece: Piece, line: Line) -> list[Outcome]:
        job = line.job
        if piece.error is not None:
            return self._fail(job, piece.error)
        job.completion_tokens += piece.tokens
        job.cached_tokens = max(job.cached_tokens, piece.cached_tokens)
        self.count(completion_tokens=piece.tokens)
        text = line.stops.feed(piece.text)
        finish = "stop" if line.stops.stopped else piece.finish
        if finish and not line.stops.stopped:
            text += line.stops.flush()
        outcomes: list[Outcome] = []
        if text:
            outcomes.append((job.id, TextPiece(line.choice, text)))
        if finish:
            outcomes += self._end(piece.sequence, line, finish)
        return outcomes

    def _end(self, sequence: int, line: Line, finish: str) -> list[Outcome]:
        job = line.job
        self._forget(sequence)
        job.open.discard(line.choice)
        outcomes: list[Outcome] = [(job.id, ChoiceEnd(line.choice, finish))]
        if not job.open:
            del self._jobs[job.id]
            self.count(completed=1)
            outcomes.append((job.id, Done(Usage(len(job.prompt), job.completion_tokens, job.cached_tokens))))
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


def _room(context_length: int | None, prompt_tokens: int, param: str) -> int:
    if context_length is None:
        return MAX_SEED
    room = context_length - prompt_tokens
    if room < 1:
        raise ContextTooLong(
            f"This model's context holds {context_length} tokens, and the {param} alone take {prompt_tokens}. "
            "Shorten them.",
            param=param,
        )
    return room


def _for_choice(plan: Plan, choice: int) -> Plan:
    """Each choice draws its own numbers: the seed counts on from the request's."""
    seed = ((plan.sampling.seed or 0) + choice) % MAX_SEED
    return replace(plan, sampling=replace(plan.sampling, seed=seed))


def complete(asked: Sampling, defaults: Sampling) -> Sampling:
    """What was asked, then the model's own defaults, then OpenAI's; without a seed, a random one.

    A request that sets a temperature does not inherit a model's greedy default, only its top_k and the like. A
    temperature that is next to nothing is greedy: engines divide by it in single precision.
    """
    temperature = _first(asked.temperature, defaults.temperature, 1.0)
    seed = asked.seed if asked.seed is not None else secrets.randbelow(MAX_SEED)
    return Sampling(
        temperature=temperature if temperature >= COLDEST else 0.0,
        top_p=_first(asked.top_p, defaults.top_p, 1.0),
        top_k=_first(asked.top_k, defaults.top_k, 0),
        min_p=_first(asked.min_p, defaults.min_p, 0.0),
        repetition_penalty=_first(asked.repetition_penalty, defaults.repetition_penalty, 1.0),
        presence_penalty=_first(asked.presence_penalty, defaults.presence_penalty, 0.0),
        frequency_penalty=_first(asked.frequency_penalty, defaults.frequency_penalty, 0.0),
        seed=seed % MAX_SEED,
    )


def _first(*values: T | None) -> T:
    return next(value for value in values if value is not None)


def context_limit(options: RuntimeOptions, spec: ModelSpec) -> int:
    """Tokens that a prompt and its answer may have together: the model's own limit or the configured one."""
    return min(filter(None, (options.context_length, spec.context_length)), default=UNKNOWN_CONTEXT)


def kv_tokens(options: RuntimeOptions, spec: ModelSpec, bytes_per_token: int | None) -> tuple[int, int, str]:
    """How the KV cache is cut: (context length, tokens that it holds in all, a note where it shrank).

    The context is the model's own or the configured one, shortened to what the budget holds; the whole cache
    has room for ``parallel`` full contexts unless the budget says less, since few requests use all of theirs.
    """
    context = context_limit(options, spec)
    if bytes_per_token is None or options.kv_budget_bytes is None:
        return context, context * options.parallel, ""
    affordable = max(256, options.kv_budget_bytes // bytes_per_token)
    note = ""
    if affordable < context:
        note = f"context shortened from {context} to {affordable} tokens: its KV cache would not fit into memory"
        context = affordable
    return context, min(context * options.parallel, affordable), note
