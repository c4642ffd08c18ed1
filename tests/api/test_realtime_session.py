"""What a realtime session says, without a socket or a model."""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
from openai.types.realtime import (
    AudioTranscription,
    RealtimeServerEvent,
    RealtimeTranscriptionSessionAudioInput,
    RealtimeTranscriptionSessionCreateRequest,
)
from openai.types.realtime.realtime_transcription_session_audio_input_turn_detection import SemanticVad, ServerVad
from pydantic import BaseModel, TypeAdapter

from fluid_server.api.realtime_session import MOST_UNANSWERED, Session
from fluid_server.api.schemas.fields import Contract
from fluid_server.api.schemas.realtime_events import APPEND, CLEAR, COMMIT, Append, ClientEvent, Event, Update
from fluid_server.api.schemas.realtime_session import INPUT, SESSION, TRANSCRIPTION, TURNS, Settings, Transcription
from fluid_server.errors import InvalidRequest, UnsupportedField, WorkerDied
from fluid_server.types import (
    Chunking,
    EndTurn,
    ForgetSound,
    ListenRequest,
    NothingToTake,
    SoundBytes,
    SoundForgotten,
    TurnDone,
    TurnFailed,
    TurnStarted,
    TurnStopped,
    TurnTaken,
    TurnText,
    Usage,
)
from tests.published import conforms, fields_of

OFFICIAL: TypeAdapter[Any] = TypeAdapter(get_args(RealtimeServerEvent)[0])
SOUND = base64.b64encode(bytes(48_000)).decode()  # a second
HEARING = Settings(transcription=Transcription(model="w"))


def session(settings: Settings = HEARING, most_seconds: float = 60.0) -> Session:
    return Session(settings, most_seconds)


def update(**given: Any) -> Update:
    return Update(type="session.update", session={"type": "transcription", "audio": {"input": given}})


def updated(**given: Any) -> Settings:
    return session().updates(update(**given))


def types(events: list[Event]) -> list[str]:
    return [event["type"].removeprefix("conversation.item.").removeprefix("input_audio_") for event in events]


def told(one: Session, *turned: Any) -> list[Event]:
    """What is said of these, all of it in the package's own shapes."""
    events = [event for each in turned for event in one.tell(each)]
    for event in events:
        OFFICIAL.validate_python(event)
    return events


# --- the settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contract", "kinds"),
    [
        (SESSION, [RealtimeTranscriptionSessionCreateRequest]),
        (INPUT, [RealtimeTranscriptionSessionAudioInput]),
        (TRANSCRIPTION, [AudioTranscription]),
        (TURNS, [ServerVad, SemanticVad]),
    ],
)
def test_no_field_of_the_package_is_forgotten(contract: Contract, kinds: list[type[BaseModel]]) -> None:
    listed = {*contract.honoured, *contract.accepted, *contract.refused}
    assert {name for kind in kinds for name in kind.model_fields} == listed


def test_no_published_field_is_forgotten() -> None:
    assert fields_of("RealtimeTranscriptionSessionCreateRequestGA") <= SESSION.honoured | SESSION.refused.keys()
    assert fields_of("AudioTranscription") <= TRANSCRIPTION.honoured | TRANSCRIPTION.refused.keys()


def test_a_session_begins_with_openais_defaults() -> None:
    asked = Settings().request
    assert asked == ListenRequest(rate=24_000, turns=Chunking(threshold=0.5, padding=0.3, silence=0.5))


def test_the_session_is_told_as_published() -> None:
    for settings in (Settings(), HEARING, Settings(turns=None)):
        body = session(settings).created()["session"]
        body["audio"]["input"].setdefault("turn_detection", None)
        conforms(body, "RealtimeTranscriptionSessionCreateResponseGA")


def test_only_what_is_named_changes() -> None:
    one = session()
    one.settings = one.updates(update(transcription={"language": "French", "prompt": "Bonjour"}))
    one.settings = one.updates(update(turn_detection={"type": "server_vad", "silence_duration_ms": 900}))
    one.settings = one.updates(update(turn_detection={"type": "server_vad", "threshold": 0.7}, format=None))
    assert one.settings.request == ListenRequest(
        language="fr", prompt="Bonjour", turns=Chunking(threshold=0.7, padding=0.3, silence=0.9)
    )
    assert one.settings.model == "w"


def test_null_turns_off() -> None:
    off = updated(transcription=None, turn_detection=None, noise_reduction=None)
    assert (off.model, off.request.turns) == (None, None)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"noise_reduction": {"type": "near_field"}}, "noise_reduction"),
        ({"format": {"type": "audio/opus"}}, "format.type"),
        ({"format": {"type": "audio/pcm", "rate": 4_000}}, "format.rate"),
        ({"format": {"type": "audio/pcmu", "rate": 16_000}}, "format.rate"),
        ({"format": "pcm16"}, "format"),
        ({"transcription": {"delay": "low"}}, "transcription.delay"),
        ({"transcription": {"languages": ["en", "fr"]}}, "transcription.languages"),
        ({"transcription": {"language": "klingon"}}, "transcription.language"),
        ({"transcription": {"model": 5}}, "transcription.model"),
        ({"transcription": {"temperature": 0}}, "transcription.temperature"),
        ({"turn_detection": {"type": "semantic_vad"}}, "turn_detection.type"),
        ({"turn_detection": {"type": "server_vad", "create_response": True}}, "turn_detection.create_response"),
        ({"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6_000}}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": {"type": "server_vad", "threshold": 2}}, "turn_detection.threshold"),
        ({"turn_detection": {"type": "server_vad", "silence_duration_ms": "1"}}, "turn_detection.silence_duration_ms"),
        ({"nonsense": 1}, "nonsense"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_its_full_name(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        updated(**given)
    assert refused.value.param == f"session.audio.input.{param}"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]}, "session.include"),
        ({"type": "transcription", "audio": {"output": {"voice": "x"}}}, "session.audio.output"),
        ({"type": "transcription", "audio": {"input": []}}, "session.audio.input"),
        ({"type": "transcription", "model": "w"}, "session.model"),
        ({"type": "realtime"}, "session.type"),
        ({}, "session.type"),
        ("x", "session"),
    ],
    ids=str,
)
def test_so_is_what_surrounds_it(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        session().updates(Update(type="session.update", session=body))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input_audio_format": "mp3"}, "session.input_audio_format"),
        ({"input_audio_format": ["pcm16"]}, "session.input_audio_format"),
        ({"input_audio_noise_reduction": {"type": "far_field"}}, "session.input_audio_noise_reduction"),
        ({"input_audio_transcription": {"model": ""}}, "session.input_audio_transcription.model"),
        ({"turn_detection": {"type": "semantic_vad"}}, "session.turn_detection.type"),
    ],
    ids=str,
)
def test_the_shape_of_the_beta_is_refused_in_its_own_words(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        session().updates(Update(type="transcription_session.update", session=body))
    assert refused.value.param == param


def test_a_session_keeps_its_model_once_sound_has_come() -> None:
    one = session()
    assert one.updates(update(transcription={"model": "other"})).model == "other"
    one.order(Append(type=APPEND, audio=SOUND))
    with pytest.raises(InvalidRequest):
        one.updates(update(transcription={"model": "other"}))


# --- the buffer --------------------------------------------------------------------------------------------------


def test_a_buffer_that_only_the_client_empties_has_a_limit() -> None:
    one = session(Settings(transcription=Transcription(model="w"), turns=None), most_seconds=2.5)
    sound, commit = Append(type=APPEND, audio=SOUND), ClientEvent(type=COMMIT)
    assert [one.order(sound), one.order(sound)] == [SoundBytes(bytes(48_000))] * 2
    with pytest.raises(InvalidRequest) as full:
        one.order(sound)
    assert (full.value.param, full.value.code) == ("audio", "input_audio_buffer_full")
    assert one.order(commit) == EndTurn(1)
    assert one.order(sound) == SoundBytes(bytes(48_000))
    assert one.order(ClientEvent(type=CLEAR)) == ForgetSound()


def test_one_event_holds_at_most_fifteen_mebibytes() -> None:
    with pytest.raises(InvalidRequest) as large:
        session().order(Append(type=APPEND, audio=base64.b64encode(bytes(15 * 1024**2 + 1)).decode()))
    assert large.value.param == "audio"


def test_an_order_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        session(Settings()).order(ClientEvent(type=COMMIT))
    assert refused.value.param == "session.audio.input.transcription.model"


def test_orders_without_sound_wait_for_their_answers_before_more_may_come() -> None:
    one = session()
    for _ in range(MOST_UNANSWERED // 2):
        one.order(ClientEvent(type=COMMIT))
        one.order(ClientEvent(type=CLEAR))
    with pytest.raises(InvalidRequest) as refused:
        one.order(ClientEvent(type=COMMIT))
    assert refused.value.param == "type"
    told(one, NothingToTake(1, 0.0))
    assert one.order(ClientEvent(type=COMMIT)) == EndTurn(MOST_UNANSWERED // 2 + 1)


# --- turns -------------------------------------------------------------------------------------------------------


def test_the_life_of_a_turn() -> None:
    one = session()
    events = told(
        one, TurnStarted(0, 1.2), TurnText(0, "Turn on"), TurnStopped(0, 2.6), TurnTaken(0, 1.4),
        TurnDone(0, "Turn on the light.", Usage(audio_seconds=1.4)),
    )  # fmt: skip
    assert types(events) == [
        "buffer.speech_started", "transcription.delta", "buffer.speech_stopped", "buffer.committed", "added", "done",
        "transcription.delta", "transcription.completed",
    ]  # fmt: skip
    assert len({event.get("item_id") or event["item"]["id"] for event in events}) == 1
    assert [event["delta"] for event in events if "delta" in event] == ["Turn on", " the light."]
    assert (events[0]["audio_start_ms"], events[2]["audio_end_ms"]) == (1200, 2600)
    assert events[-1]["usage"] == {"type": "duration", "seconds": 1.4}


def test_a_transcript_that_contradicts_its_deltas_is_what_counts() -> None:
    events = told(session(), TurnText(0, "Burn"), TurnDone(0, "Turn on.", Usage()))
    assert types(events) == ["transcription.delta", "transcription.completed"]
    assert events[-1]["transcript"] == "Turn on."


def test_items_know_what_is_before_them_also_in_the_next_live_request() -> None:
    one = session()
    first = told(one, TurnTaken(0, 1.0), TurnDone(0, "", Usage()))[0]
    one.over()
    second = told(one, TurnTaken(0, 1.0))[0]
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item_id"])
    assert first["item_id"] != second["item_id"]


def test_a_turn_that_fails() -> None:
    one = session()
    events = told(one, TurnTaken(0, 1.0), TurnFailed(turn=0, message="It broke.", type="server_error", code="x"))
    assert types(events)[-1] == "transcription.failed"
    assert events[-1]["error"] == {"message": "It broke.", "type": "server_error", "code": "x", "param": None}


def test_a_commit_of_nothing_is_answered_with_the_clients_own_event_id() -> None:
    one = session()
    one.order(ClientEvent(type=COMMIT, event_id="a"))
    one.order(ClientEvent(type=COMMIT, event_id="b"))
    (event,) = told(one, NothingToTake(2, 0.04))
    assert (event["error"]["event_id"], event["error"]["code"]) == ("b", "input_audio_buffer_commit_empty")
    assert "40 ms" in event["error"]["message"]


def test_what_is_forgotten_is_told_only_to_who_asked() -> None:
    one = session()
    started = told(one, TurnStarted(0, 0.0))
    assert told(one, SoundForgotten()) == []
    one.order(ClientEvent(type=CLEAR))
    assert types(told(one, SoundForgotten())) == ["buffer.cleared"]
    assert told(one, TurnStarted(0, 1.0))[0]["item_id"] != started[0]["item_id"]


def test_a_model_that_dies_fails_what_was_taken_and_answers_what_was_asked() -> None:
    one = session()
    told(one, TurnTaken(0, 1.0), TurnStarted(1, 2.0))
    one.order(ClientEvent(type=CLEAR))
    one.order(ClientEvent(type=COMMIT, event_id="mine"))
    events = one.broken(WorkerDied("It has died."))
    for event in events:
        OFFICIAL.validate_python(event)
    assert types(events) == ["transcription.failed", "buffer.cleared", "error"]
    assert events[-1]["error"]["event_id"] == "mine"
    assert types(one.broken(WorkerDied("Again."))) == ["error"]


def test_refusals_say_that_they_are_no_mistake_of_the_clients() -> None:
    with pytest.raises(UnsupportedField):
        updated(noise_reduction={"type": "near_field"})
