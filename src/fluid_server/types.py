"""What flows between the parts: small frozen values, made once at the door. Imports nothing of ours but shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fluid_server.shapes import Shape


class Format(StrEnum):
    """How a model's weights are stored."""

    OPENVINO = "openvino"
    GGUF = "gguf"
    QNN = "qnn"
    BUILTIN = "builtin"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What a model is made for."""

    TEXT = "text"
    VISION = "vision-language"
    TRANSCRIPTION = "transcription"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"
    UNKNOWN = "unknown"


class Ability(StrEnum):
    """What a client can ask of a model."""

    CHAT = "chat"
    COMPLETION = "completion"
    TRANSCRIPTION = "transcription"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    SPEECH = "speech"


ABILITIES: Mapping[Kind, frozenset[Ability]] = {
    Kind.TEXT: frozenset({Ability.CHAT, Ability.COMPLETION}),
    Kind.VISION: frozenset({Ability.CHAT, Ability.COMPLETION}),
    Kind.TRANSCRIPTION: frozenset({Ability.TRANSCRIPTION}),
    Kind.EMBEDDING: frozenset({Ability.EMBEDDING}),
    Kind.RERANK: frozenset({Ability.RERANK}),
    Kind.IMAGE: frozenset({Ability.IMAGE}),
    Kind.SPEECH: frozenset({Ability.SPEECH}),
    Kind.UNKNOWN: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is drawn; None leaves the choice to the model's own defaults.

    ``temperature`` 0 is greedy. Penalties are OpenAI's (additive, -2 to 2) but ``repetition_penalty``,
    which is multiplicative (1 is none) as in Hugging Face's generation_config.json.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that the catalog found: where it lies and what its own files say of it.

    ``path`` is the model's folder, or its (first) .gguf file. ``files`` are its weights, every split part
    included, and ``size_bytes`` their sum. A broken model has its reason in ``problem`` and is never loaded.
    ``special_tokens`` holds the texts of bos_token, eos_token, pad_token and unk_token where known. ``pause`` is how
    many seconds of silence a speech model should have between what it hears at once, where its folder says so.
    """

    id: str
    format: Format
    kind: Kind
    path: Path
    files: tuple[Path, ...] = ()
    size_bytes: int = 0
    aliases: tuple[str, ...] = ()
    architecture: str | None = None
    context_length: int | None = None
    quantization: str | None = None
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = Sampling()
    languages: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    pause: float | None = None
    mmproj: Path | None = None
    kv_bytes_per_token: int | None = None
    modified: float = 0.0
    problem: str | None = None

    @property
    def abilities(self) -> frozenset[Ability]:
        """What a client can ask of this model."""
        return ABILITIES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """How a runtime is to load its model. ``kv_budget_bytes`` bounds the KV cache; None leaves it to the runtime.

    ``dialect`` names one of content.dialects; None has it recognised from the chat template.
    """

    device: str = "CPU"
    threads: int | None = None
    parallel: int = 8
    context_length: int | None = None
    kv_budget_bytes: int | None = None
    cache_dir: Path | None = None
    dialect: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a loaded model turned out to be. ``parallel`` is how many requests it answers at once."""

    runtime: str
    device: str
    parallel: int
    engine: str = ""
    context_length: int | None = None
    notes: tuple[str, ...] = ()


class DownloadState(StrEnum):
    """Where a download is. The last three are ends; a failed one can be resumed."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    INSTALLING = "installing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """One file of a download, in bytes. ``path`` is the one in the repository."""

    path: str
    size: int
    done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A download as it stood at one moment. Sizes in bytes, ``rate`` in bytes a second, times in epoch seconds.

    ``name`` is what was asked for. ``model`` is the id under which the catalog lists it once it is complete.
    ``note`` says what it is waiting for, such as the next try after a cut connection.
    """

    id: str
    name: str
    repo: str
    revision: str
    state: DownloadState
    files: tuple[FileProgress, ...] = ()
    bytes_done: int = 0
    bytes_total: int = 0
    rate: float = 0.0
    eta_seconds: float | None = None
    model: str | None = None
    note: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    created: float = 0.0
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that the event feed tells: ``type`` such as ``model.state`` or ``download.progress``."""

    type: str
    created: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message, its text parts joined; ``fields`` are the further keys a chat template may read."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that the model may call.

    A function takes JSON that ``parameters`` describes (any object, where they are None); ``strict`` has the grammar
    enforce it. A custom tool takes one text, of the form ``input`` where that is not None.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool = False
    custom: bool = False
    input: Shape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """What the model may call, and whether it must.

    ``mode`` is none, auto or required. ``names``: only these of the tools (a named function is required with one
    name); None is all. ``parallel`` False: at most one call an answer.
    """

    tools: tuple[Tool, ...]
    mode: str = "auto"
    names: tuple[str, ...] | None = None
    parallel: bool = True

    @property
    def allowed(self) -> tuple[Tool, ...]:
        """The tools that may be called in this answer."""
        if self.mode == "none":
            return ()
        return tuple(tool for tool in self.tools if self.names is None or tool.name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """Text to be generated. Exactly one of ``messages``, ``text`` and ``tokens`` is the prompt.

    ``max_tokens`` None means: until the model ends or its context is full. ``shape`` is what the answer must look
    like. ``logprobs``: None for none, else how many alternatives to each token are wanted besides it (0 to 20).
    ``suffix`` is what follows the gap that the model fills after ``text``. ``effort`` is OpenAI's reasoning_effort,
    ``verbosity`` its namesake; each goes to the chat template's own switch.
    """

    messages: tuple[Message, ...] | None = None
    text: str | None = None
    tokens: tuple[int, ...] | None = None
    suffix: str | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    ignore_eos: bool = False
    tool_use: ToolUse | None = None
    shape: Shape | None = None
    logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    effort: str | None = None
    verbosity: str | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """A question to a model's tokenizer: the ids of a prompt, or the text of ``ids``.

    ``prompt`` is a request whose prompt would be sent as it stands here, tools and template included; nothing is
    generated. ``special`` and ``pieces``: with what the tokenizer puts around plain text, and each token's text.
    The answer is one Tokenized, then Done.
    """

    prompt: GenerateRequest | None = None
    ids: tuple[int, ...] | None = None
    special: bool = True
    pieces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How speech is told from silence, and where a long recording may be cut. Lengths in seconds.

    ``threshold``: from which probability of speech on (0 to 1) sound counts as speech. ``padding``: how much of the
    silence around speech is kept with it. ``silence``: a pause of this length always ends a chunk; None leaves it to
    the model that hears it.
    """

    threshold: float = 0.5
    padding: float = 0.3
    silence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeRequest:
    """Speech to be written down. ``audio`` is a file, or its bytes, in any format that content.sound can decode.

    ``task`` is transcribe, or translate (into English). ``language`` None: it is detected. ``keywords`` are words
    that are likely to be said. ``words`` and ``logprobs``: with the times of single words, with log probabilities of
    tokens, where the runtime has them.
    """

    audio: Path | bytes
    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    task: str = "transcribe"
    words: bool = False
    logprobs: bool = False
    chunking: Chunking = Chunking()
    max_seconds: float = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakRequest:
    """Text to be spoken. ``voice`` is one of the model's own, or one of OpenAI's names; None is the model's best.

    ``language`` None is the voice's own, and ``speed`` 1 its own pace. ``format`` is one of mp3, opus, aac, flac, wav
    and pcm (16-bit little-endian, 24 kHz, mono).
    """

    text: str
    voice: str | None = None
    speed: float = 1.0
    language: str | None = None
    format: str = "mp3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenRequest:
    """Speech to be written down while it is spoken. The sound follows, piece by piece, as ``Fed``.

    ``encoding`` is pcm (16-bit little-endian, mono, ``rate`` samples a second), pcmu or pcma (G.711 at 8 kHz).
    ``turns`` says when a turn ends by itself; None: only where EndTurn says so. ``start``: how many seconds of the
    session lie before the first sample.
    """

    encoding: str = "pcm"
    rate: int = 24_000
    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    turns: Chunking | None = Chunking(silence=0.5)
    start: float = 0.0

    @property
    def bytes_a_second(self) -> int:
        """How fast sound of this encoding comes."""
        return 2 * self.rate if self.encoding == "pcm" else self.rate


@dataclass(frozen=True, slots=True)
class SoundBytes:
    """More sound, encoded as the ListenRequest says; a sample may be cut in two."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndTurn:
    """What has been fed and belongs to no turn yet is one. Answered by TurnTaken, or NothingToTake, with ``mark``."""

    mark: int


@dataclass(frozen=True, slots=True)
class ForgetSound:
    """What has been fed and belongs to no turn yet is thrown away. Answered by SoundForgotten."""


@dataclass(frozen=True, slots=True)
class EndOfSound:
    """Nothing more is fed: the request ends once the turns that were taken are written down."""


Fed = SoundBytes | EndTurn | ForgetSound | EndOfSound | ListenRequest
"""What a live request is given while it runs; a ListenRequest is how what follows is to be understood."""

Request = GenerateRequest | TokenizeRequest | TranscribeRequest | ListenRequest | SpeakRequest


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one request; ``audio_seconds`` is the decoded length of a transcribed file.

    ``cached_tokens`` are those of the prompt that were not computed again; ``reasoning_tokens`` those of the
    completion that are reasoning. Of speech that was made, ``characters`` are the text's and ``spoken_seconds`` is its
    length.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    audio_seconds: float = 0.0
    reasoning_tokens: int = 0
    characters: int = 0
    spoken_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and its natural-log probability; ``text`` is what it adds, ``data`` its bytes where known.

    ``top`` are the likeliest tokens at its place, itself not necessarily among them, the likeliest first.
    """

    token: int
    text: str
    logprob: float
    data: bytes = b""
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of one choice's text, complete UTF-8, free of stop strings."""

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """A piece of what one choice thinks before it answers."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call: the first of each ``index`` has ``id`` and ``name``, all have more of the arguments.

    ``index`` counts the calls of one choice. Of a function the arguments are JSON, of a custom tool its input.
    """

    choice: int
    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceEnd:
    """One choice has ended; ``reason`` is OpenAI's finish_reason."""

    choice: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The answer to a TokenizeRequest; ``pieces`` are the texts of the single tokens."""

    ids: tuple[int, ...]
    pieces: tuple[str, ...] = ()
    text: str = ""
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was heard, from ``start`` to ``end`` seconds into the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech, from ``start`` to ``end`` seconds into the recording, in the order of time.

    ``text`` is as the model writes it, its leading space included: the texts of all segments together are the
    transcript. ``words`` are there where they were asked for. ``avg_logprob`` (mean natural-log probability of its
    tokens), ``no_speech_prob`` and ``tokens`` are None or empty where the engine does not tell.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float | None = None
    no_speech_prob: float | None = None


@dataclass(frozen=True, slots=True)
class LanguageHeard:
    """The language of a recording, as a code; told once, before its first segment. Text may be sent before it."""

    language: str


@dataclass(frozen=True, slots=True)
class Listened:
    """How far into the recording everything has been heard, in seconds, and its length where that is known."""

    seconds: float
    total: float | None = None


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """Somebody has begun to speak, ``seconds`` into the session. Turns are counted from 0 in each ListenRequest."""

    turn: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """Nobody speaks any more since ``seconds`` into the session."""

    turn: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """The sound of a turn is complete, ``seconds`` long; ``mark`` is that of the EndTurn that asked for it, if any."""

    turn: int
    seconds: float
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class NothingToTake:
    """There was too little sound for a turn: only ``seconds``."""

    mark: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SoundForgotten:
    """The sound that belonged to no turn is gone; a turn that had started never ends."""


@dataclass(frozen=True, slots=True)
class TurnText:
    """More of what is said in a turn, which may still go on. It is not taken back."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnDone:
    """All that was said in a turn; ``usage`` is this turn's own."""

    turn: int
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    """A turn could not be written down: the fields of the failure. The request goes on."""

    turn: int
    message: str
    type: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class SoundPiece:
    """A piece of the sound file that was asked for, ``seconds`` long. All pieces together are the file."""

    data: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The request has ended well: nothing follows."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The request has left the engine because it was told to: its place is free."""


Heard = Segment | LanguageHeard | Listened
Turned = (
    TurnStarted | TurnStopped | TurnTaken | NothingToTake | SoundForgotten | TurnText | TurnDone | TurnFailed
)  # fmt: skip
Event = TextPiece | ReasoningPiece | ToolPiece | ChoiceEnd | Tokenized | Heard | Turned | SoundPiece | Done | Cancelled


@dataclass(frozen=True, slots=True)
class Counters:
    """What a worker has done so far, counted by the worker itself."""

    running: int = 0
    waiting: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
