"""What a realtime session knows and says: a client's events become orders, the model's events become the client's.

Pure: nothing here waits or sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fluid_server.api.schemas.realtime_events import (
    CLEAR,
    COMMIT,
    UPDATE_AS_BEFORE,
    Append,
    ClientEvent,
    Event,
    Update,
    error_event,
    event,
    new_id,
)
from fluid_server.api.schemas.realtime_session import (
    MODEL_FIELD,
    Settings,
    session_body,
    session_body_as_before,
    updated,
    updated_as_before,
)
from fluid_server.errors import FluidError, InvalidRequest
from fluid_server.types import (
    EndTurn,
    Fed,
    ForgetSound,
    NothingToTake,
    SoundBytes,
    SoundForgotten,
    TurnDone,
    Turned,
    TurnFailed,
    TurnStarted,
    TurnStopped,
    TurnTaken,
    TurnText,
)

TRANSCRIPTION = "conversation.item.input_audio_transcription"
BUFFER = "input_audio_buffer"
MOST_UNANSWERED = 100  # orders that wait for the model: without sound between them nothing else bounds them


@dataclass(slots=True)
class _Turn:
    """One turn on its way: an item of the conversation once it is taken. ``said`` is what its deltas told so far."""

    item: str = field(default_factory=lambda: new_id("item"))
    taken: bool = False
    said: str = ""


class Session:
    """One client's conversation. ``most_seconds`` is how much sound may wait for the client to commit it."""

    def __init__(self, settings: Settings, most_seconds: float) -> None:
        self.id = new_id("sess")
        self.settings = settings
        self._most_seconds = most_seconds
        self._waiting = 0.0  # seconds of sound that only the client can make a turn of
        self._appended = False
        self._turns: dict[int, _Turn] = {}  # by the numbers of the live request that runs
        self._commits: dict[int, str | None] = {}  # marks that have no answer yet, and the client's events behind them
        self._clears = 0  # that have no answer yet
        self._marks = 0
        self._previous: str | None = None

    def created(self) -> Event:
        """The first event."""
        return event("session.created", session=session_body(self.settings, self.id))

    # --- the client's events -----------------------------------------------------------------------------

    def updates(self, sent: Update) -> Settings:
        """The settings that an update asks for, before they are taken. Errors: InvalidRequest."""
        read = updated_as_before if sent.type == UPDATE_AS_BEFORE else updated
        wanted = read(self.settings, sent.session)
        if self._appended and wanted.model != self.settings.model:
            raise InvalidRequest(
                "The model of a session stays once sound has come. Open another session for another model.",
                param=MODEL_FIELD,
            )
        return wanted

    def take_settings(self, wanted: Settings, kind: str) -> Event:
        """Go on with these; what is told to the client, in the shape in which it asked."""
        self.settings = wanted
        if kind == UPDATE_AS_BEFORE:
            return event("transcription_session.updated", session=session_body_as_before(wanted, self.id))
        return event("session.updated", session=session_body(wanted, self.id))

    def order(self, sent: ClientEvent) -> Fed:
        """What the model is to be fed for an event about the buffer. Errors: InvalidRequest."""
        if self.settings.model is None:
            raise InvalidRequest(
                "No model is set. Name one in 'session.audio.input.transcription.model' with a session.update, or in "
                "the address: /v1/realtime?model=…",
                param=MODEL_FIELD,
                code="missing_required_parameter",
            )
        if isinstance(sent, Append):
            return self._append(sent)
        if len(self._commits) + self._clears >= MOST_UNANSWERED:
            raise InvalidRequest(
                f"{MOST_UNANSWERED} events like {sent.type} have no answer yet. Wait for their answers, and read them.",
                param="type",
                code="too_many_unanswered",
            )
        self._waiting = 0.0
        if sent.type == COMMIT:
            self._marks += 1
            self._commits[self._marks] = sent.event_id
            return EndTurn(self._marks)
        assert sent.type == CLEAR
        self._clears += 1
        return ForgetSound()

    def _append(self, sent: Append) -> Fed:
        data = sent.sound
        if self.settings.turns is None:
            seconds = len(data) / self.settings.request.bytes_a_second
            if self._waiting + seconds > self._most_seconds:
                raise InvalidRequest(
                    f"The buffer may hold {self._most_seconds:g} s, and 'audio' does not fit any more. Send "
                    f"{COMMIT} or {CLEAR} first.",
                    param="audio",
                    code="input_audio_buffer_full",
                )
            self._waiting += seconds
        self._appended = True
        return SoundBytes(data)

    # --- the model's events ------------------------------------------------------------------------------

    def tell(self, turned: Turned) -> list[Event]:
        """What the client hears of it."""
        match turned:
            case TurnStarted() | TurnStopped():
                return [self._bound(turned)]
            case TurnTaken(turn=number, mark=mark):
                return self._taken(self._turn(number), mark)
            case TurnText(turn=number, text=text):
                return self._delta(self._turn(number), text)
            case TurnDone():
                return self._done(turned)
            case TurnFailed():
                error = {"message": turned.message, "type": turned.type, "code": turned.code, "param": None}
                return [self._failed(self._turns.pop(turned.turn, _Turn()), error)]
            case NothingToTake() | SoundForgotten():
                return self._without_turn(turned)

    def _bound(self, turned: TurnStarted | TurnStopped) -> Event:
        """Where speech begins and where it ends, in milliseconds of the session."""
        word = ("started", "audio_start_ms") if isinstance(turned, TurnStarted) else ("stopped", "audio_end_ms")
        at = {word[1]: round(turned.seconds * 1000)}
        return event(f"{BUFFER}.speech_{word[0]}", **at, item_id=self._turn(turned.turn).item)

    def _without_turn(self, turned: NothingToTake | SoundForgotten) -> list[Event]:
        if isinstance(turned, NothingToTake):
            return [error_event(_too_little(turned.seconds), self._commits.pop(turned.mark, None))]
        self._turns = {number: turn for number, turn in self._turns.items() if turn.taken}  # the others never will be
        if not self._clears:
            return []
        self._clears -= 1
        return [event(f"{BUFFER}.cleared")]

    def _turn(self, number: int) -> _Turn:
        return self._turns.setdefault(number, _Turn())

    def _taken(self, turn: _Turn, mark: int | None) -> list[Event]:
        turn.taken = True
        previous, self._previous = self._previous, turn.item
        if mark is not None:
            self._commits.pop(mark, None)
        item = {
            "id": turn.item,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        return [
            event(f"{BUFFER}.committed", item_id=turn.item, previous_item_id=previous),
            event("conversation.item.added", item=item, previous_item_id=previous),
            event("conversation.item.done", item=item, previous_item_id=previous),
        ]

    def _delta(self, turn: _Turn, text: str) -> list[Event]:
        turn.said += text
        return [event(f"{TRANSCRIPTION}.delta", item_id=turn.item, content_index=0, delta=text)] if text else []

    def _done(self, done: TurnDone) -> list[Event]:
        """The deltas together are the transcript, unless the model has changed its mind about what was told already:
        then the transcript is what counts."""
        turn = self._turns.pop(done.turn, _Turn())
        rest = done.text.removeprefix(turn.said) if done.text.startswith(turn.said) else ""
        usage = {"type": "duration", "seconds": round(done.usage.audio_seconds, 3)}
        completed = event(
            f"{TRANSCRIPTION}.completed", item_id=turn.item, content_index=0, transcript=done.text, usage=usage
        )
        return [*self._delta(turn, rest), completed]

    def _failed(self, turn: _Turn, error: dict[str, Any]) -> Event:
        return event(f"{TRANSCRIPTION}.failed", item_id=turn.item, content_index=0, error=error)

    def broken(self, error: FluidError) -> list[Event]:
        """The live request has failed: so have its turns, and what was not taken yet is lost."""
        failure = error_event(error)
        told = {name: value for name, value in failure["error"].items() if name != "event_id"}
        failed = [self._failed(turn, told) for turn in self._turns.values() if turn.taken]
        unanswered = [error_event(error, event_id) for event_id in self._commits.values()]
        cleared = [event(f"{BUFFER}.cleared") for _ in range(self._clears)]
        self._turns, self._commits, self._clears = {}, {}, 0
        return [*failed, *cleared, *(unanswered or [failure])]

    def over(self) -> None:
        """The live request has ended well; the next one counts its turns anew."""
        self._turns = {}


def _too_little(seconds: float) -> InvalidRequest:
    return InvalidRequest(
        f"The buffer holds {seconds * 1000:.0f} ms of sound, too little to write down. Append at least 100 ms before "
        f"{COMMIT}.",
        param=None,
        code="input_audio_buffer_commit_empty",
    )
