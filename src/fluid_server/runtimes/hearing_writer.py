"""What was recognised of one recording, told in the order of time whatever the order in which it was recognised."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fluid_server.content.streamed import reconciled
from fluid_server.content.transcript import Transcript, spaced
from fluid_server.content.utterances import Window
from fluid_server.runtimes.hearing_plan import Recognised
from fluid_server.types import ChoiceEnd, Done, Event, LanguageHeard, Listened, Segment, TextPiece, TokenLogprob, Usage

PROGRESS = 5.0  # seconds of the recording after which progress is told, although nothing was said


@dataclass(slots=True, eq=False)
class Part:
    """One window on its way through the engine: what it has said so far, what of that was sent, what it came to."""

    window: Window
    said: str = ""
    sent: str = ""
    found: Recognised | None = None

    @property
    def streams(self) -> bool:
        """Whether its text may be sent as it comes; where windows overlap, words may turn out to be doubled."""
        return not self.window.overlap and not self.window.shared


class Writer:
    """Takes windows as they are cut, and what they say from any thread; tells events in order.

    ``tell`` gets LanguageHeard once, before the first Segment, TextPieces, each window's Segments after its text,
    Listened, and at the end ChoiceEnd and Done. All TextPieces together are the texts of all Segments. With
    ``whole``, a window's text is told in one piece, with the log probabilities of all its tokens.
    """

    def __init__(self, tell: Callable[[Event], None], *, whole: bool) -> None:
        self._tell = tell
        self._whole = whole
        self._lock = threading.Lock()
        self._parts: deque[Part] = deque()
        self._transcript = Transcript()
        self._last = ""  # the end of what was sent
        self._language: str | None = None
        self._fed = self._told = 0.0
        self._total: float | None = None
        self._ended = False
        self._tokens = self._prompt_tokens = 0

    def open(self, window: Window) -> Part:
        """The next window of the recording."""
        part = Part(window)
        with self._lock:
            self._parts.append(part)
        return part

    def say(self, part: Part, text: str) -> None:
        """More of what is said in a window."""
        with self._lock:
            part.said += text
            if part is self._parts[0]:
                self._stream(part)

    def put(self, part: Part, found: Recognised) -> None:
        """All that is said in a window."""
        with self._lock:
            part.found = found
            while self._parts and self._parts[0].found is not None:
                self._finish(self._parts.popleft())
            if self._parts:
                self._stream(self._parts[0])
            self._progress()

    def fed(self, seconds: float, total: float | None) -> None:
        """How far the recording has been cut into windows, and how long it is, if that is known."""
        with self._lock:
            self._fed, self._total = seconds, total
            self._progress()

    def end(self, seconds: float) -> None:
        """The recording is this long, and has no more windows."""
        with self._lock:
            self._fed = self._total = seconds
            self._ended = True
            self._progress()

    def _progress(self) -> None:
        over = self._ended and not self._parts
        if over:
            self._write(self._transcript.finish())
        reached = self._parts[0].window.start if self._parts else self._fed
        if reached >= self._told + PROGRESS or (over and reached > self._told):
            self._listened(reached)
        if over:
            self._tell(ChoiceEnd(0, "stop"))
            self._tell(Done(Usage(self._prompt_tokens, self._tokens, audio_seconds=self._fed)))

    def _listened(self, seconds: float) -> None:
        self._told = seconds
        self._tell(Listened(seconds, self._total))

    def _stream(self, part: Part) -> None:
        if self._whole or not part.streams or not part.said:
            return
        text = part.said if part.sent else spaced(self._last, part.said)
        part.said = ""
        part.sent += text
        self._send(text)

    def _finish(self, part: Part) -> None:
        found, window = part.found, part.window
        assert found is not None
        self._tokens += found.tokens
        self._prompt_tokens += found.prompt_tokens
        if found.language and found.text.strip() and not self._language:
            self._language = found.language
            self._tell(LanguageHeard(found.language))
        segments = self._transcript.add(window, found.segments)
        if part.sent:
            segments = reconciled(part.sent, segments, window.start, window.end)
        self._write(segments, part.sent, found.logprobs)
        if window.end - window.shared > self._told:
            self._listened(window.end - window.shared)

    def _write(self, segments: Sequence[Segment], sent: str = "", logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        self._send("".join(segment.text for segment in segments).removeprefix(sent), logprobs)
        for segment in segments:
            self._tell(segment)

    def _send(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        if text:
            self._last = text[-1]
            self._tell(TextPiece(0, text, logprobs))
