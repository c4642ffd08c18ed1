"""Speech: what can be asked of a model that hears or speaks, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fluid_server.types.usage import Usage


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


Heard = Segment | LanguageHeard | Listened


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


Turned = (
    TurnStarted | TurnStopped | TurnTaken | NothingToTake | SoundForgotten | TurnText | TurnDone | TurnFailed
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoundPiece:
    """A piece of the sound file that was asked for, ``seconds`` long. All pieces together are the file."""

    data: bytes
    seconds: float
