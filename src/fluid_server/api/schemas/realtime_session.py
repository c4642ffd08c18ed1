"""What a realtime session is told to do, as OpenAI writes it: its transcription sessions, in both shapes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from fluid_server.api.errors import explain
from fluid_server.api.schemas.fields import Contract, Refusal
from fluid_server.api.schemas.hints import hint, hints
from fluid_server.api.schemas.strict import Strict
from fluid_server.content.language import language_code
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.types import Chunking, ListenRequest

T = TypeVar("T", bound=Strict)
MODEL_FIELD = "session.audio.input.transcription.model"
G711_RATE = 8_000
HALF_A_SECOND = 1_000 // 2  # ms
ENCODINGS = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}
OLD_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
LONGEST_PROMPT, MOST_KEYWORDS, LONGEST_KEYWORD = 4096, 100, 200
NO_ANSWERS = Refusal("a transcription session answers nothing", (False,))

SESSION = Contract(
    honoured=frozenset({"type", "audio"}),
    refused={"include": Refusal("log probabilities of live speech are not told", ([],))},
)
AUDIO = Contract(
    honoured=frozenset({"input"}),
    refused={"output": Refusal("a transcription session says nothing", ({},))},
)
INPUT = Contract(
    honoured=frozenset({"format", "transcription", "turn_detection"}),
    refused={"noise_reduction": Refusal("sound is heard as it comes; let the microphone's own filter do it")},
)
TRANSCRIPTION = Contract(
    honoured=frozenset({"model", "language", "prompt", "keywords"}),
    refused={
        "delay": Refusal("text comes as soon as it is stable"),
        "languages": Refusal("speech is heard in one language; use 'language', or leave both out", ([],)),
    },
)
TURNS = Contract(
    honoured=frozenset({"type", "threshold", "prefix_padding_ms", "silence_duration_ms"}),
    refused={
        "create_response": NO_ANSWERS,
        "interrupt_response": NO_ANSWERS,
        "idle_timeout_ms": NO_ANSWERS,
        "eagerness": Refusal("turns end by silence alone", ("auto",)),
    },
)


class Format(Strict):
    """How the sound is encoded: 16-bit PCM at 24 kHz (here also at other rates), or G.711 at 8 kHz."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = Field(24_000, ge=8_000, le=96_000)


class Transcription(Strict):
    """Which model writes down what is said, and what it should know before."""

    model: str | None = Field(None, min_length=1, max_length=256)
    language: str | None = Field(None, max_length=40)
    prompt: str | None = Field(None, max_length=LONGEST_PROMPT)
    keywords: list[Annotated[str, Field(min_length=1, max_length=LONGEST_KEYWORD)]] | None = Field(
        None, max_length=MOST_KEYWORDS
    )


class ServerVad(Strict):
    """When a turn ends: after ``silence_duration_ms`` without speech. Some sound before the speech belongs to it."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0.05, le=0.95, strict=False)
    prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    silence_duration_ms: int = Field(HALF_A_SECOND, ge=100, le=10_000)


@dataclass(frozen=True, slots=True)
class Settings:
    """A session as it stands; ``turns`` None: the client says where a turn ends."""

    format: Format = field(default_factory=Format)
    transcription: Transcription | None = None
    turns: ServerVad | None = field(default_factory=ServerVad)

    @property
    def model(self) -> str | None:
        """The model that writes down what is said, once one was named."""
        return self.transcription.model if self.transcription else None

    @property
    def request(self) -> ListenRequest:
        """What the model is asked."""
        asked = self.transcription or Transcription()
        return ListenRequest(
            encoding=ENCODINGS[self.format.type],
            rate=self.format.rate if self.format.type == "audio/pcm" else G711_RATE,
            language=asked.language,
            prompt=hint(asked.prompt),
            keywords=hints(asked.keywords),
            turns=_chunking(self.turns) if self.turns else None,
        )


def _chunking(turns: ServerVad) -> Chunking:
    return Chunking(
        threshold=turns.threshold,
        padding=turns.prefix_padding_ms / 1000,
        silence=turns.silence_duration_ms / 1000,
    )


# --- read --------------------------------------------------------------------------------------------------------


def updated(settings: Settings, session: Any, where: str = "session") -> Settings:
    """The settings with what a ``session.update`` names; the others stay. Errors: InvalidRequest naming the field."""
    fields = _object(session, where, SESSION)
    kind = fields.get("type")
    if kind != "transcription":
        raise _wrong_kind(kind, f"{where}.type")
    if fields.get("audio") is None:
        return settings
    audio = _object(fields["audio"], f"{where}.audio", AUDIO)
    if audio.get("input") is None:
        return settings
    given = _object(audio["input"], f"{where}.audio.input", INPUT)
    return _with(settings, given, {name: f"{where}.audio.input.{name}" for name in given})


def updated_as_before(settings: Settings, session: Any, where: str = "session") -> Settings:
    """The same for a ``transcription_session.update``, the shape of the API's beta."""
    old = {
        "input_audio_format": "format",
        "input_audio_transcription": "transcription",
        "turn_detection": "turn_detection",
    }
    refused = {"input_audio_noise_reduction": INPUT.refused["noise_reduction"], "include": SESSION.refused["include"]}
    fields = _object(session, where, Contract(honoured=frozenset(old), refused=refused))
    given = {old[name]: value for name, value in fields.items()}
    if (name := given.get("format")) is not None:
        if not isinstance(name, str) or name not in OLD_FORMATS:
            known = ", ".join(OLD_FORMATS)
            raise InvalidRequest(f"The format must be one of {known}.", param=_below(where, "input_audio_format"))
        given["format"] = {"type": OLD_FORMATS[name]}
    return _with(settings, given, {old[name]: _below(where, name) for name in fields})


def addressed(settings: Settings, query: Mapping[str, str]) -> Settings:
    """The settings with what the address of the connection says. Errors: InvalidRequest naming the parameter."""
    if query.get("intent", "transcription") != "transcription":
        raise UnsupportedField("Sessions here write down speech: 'intent' must be transcription.", param="intent")
    if "call_id" in query:
        raise UnsupportedField("There are no calls here to join. Leave out 'call_id'.", param="call_id")
    if not (model := query.get("model")):
        return settings
    found = _checked(Transcription, {"model": model}, "")
    asked = settings.transcription or found
    return replace(settings, transcription=asked.model_copy(update={"model": found.model}))


def _with(settings: Settings, given: Mapping[str, Any], names: Mapping[str, str]) -> Settings:
    """null turns transcription and turn detection off; of what stays on, only the fields that are there change."""
    changed = settings
    if given.get("format") is not None:
        changed = replace(changed, format=_format(given["format"], names["format"]))
    if "transcription" in given:
        changed = replace(changed, transcription=_transcription(settings, given["transcription"], names))
    if "turn_detection" in given:
        changed = replace(changed, turns=_turns(settings, given["turn_detection"], names))
    return changed


def _format(value: Any, where: str) -> Format:
    found = _checked(Format, _as_object(value, where), where)
    if found.type != "audio/pcm" and "rate" in found.model_fields_set and found.rate != G711_RATE:
        raise InvalidRequest(f"G.711 has 8000 samples a second. Leave out '{where}.rate'.", param=f"{where}.rate")
    return found


def _transcription(settings: Settings, value: Any, names: Mapping[str, str]) -> Transcription | None:
    if value is None:
        return None
    where = names["transcription"]
    before = settings.transcription.model_dump() if settings.transcription else {}
    found = _checked(Transcription, before | _object(value, where, TRANSCRIPTION), where)
    with named(where):
        return found.model_copy(update={"language": language_code(found.language or None)})


def _turns(settings: Settings, value: Any, names: Mapping[str, str]) -> ServerVad | None:
    if value is None:
        return None
    where = names["turn_detection"]
    given = _as_object(value, where)
    if given.get("type", "server_vad") == "semantic_vad":
        raise UnsupportedField(
            "Turns end by silence: 'semantic_vad' is not supported. Use 'server_vad', or null to end them yourself.",
            param=f"{where}.type",
        )
    before = settings.turns.model_dump() if settings.turns else {}
    kept = {name: one for name, one in _object(given, where, TURNS).items() if one is not None}
    return _checked(ServerVad, before | kept, where)


def _wrong_kind(kind: Any, where: str) -> InvalidRequest:
    if kind is None:
        return InvalidRequest(
            f"Missing required parameter: '{where}'. Send \"transcription\".",
            param=where,
            code="missing_required_parameter",
        )
    return UnsupportedField("Sessions here write down speech: 'type' must be \"transcription\".", param=where)


def _as_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{where}' must be an object.", param=where, code="invalid_type")
    return value


def _object(value: Any, where: str, contract: Contract) -> dict[str, Any]:
    fields = _as_object(value, where)
    with named(where):
        return contract.check(fields)


def _checked(kind: type[T], fields: Mapping[str, Any], where: str) -> T:
    try:
        return kind(**fields)
    except ValidationError as error:
        with named(where):
            raise explain(error.errors()) from error


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


@contextmanager
def named(where: str) -> Generator[None, None, None]:
    """Failures inside name their field as the client writes it, from the top of its event on."""
    try:
        yield
    except InvalidRequest as error:
        if error.param is not None:
            full = _below(where, error.param)
            error.message, error.param = error.message.replace(f"'{error.param}'", f"'{full}'"), full
        raise


# --- written -----------------------------------------------------------------------------------------------------


def session_body(settings: Settings, session_id: str) -> dict[str, Any]:
    """The session as it is told to the client."""
    sound: dict[str, Any] = {"format": _format_body(settings.format)}
    if settings.transcription is not None:
        sound["transcription"] = settings.transcription.model_dump(exclude_none=True)
    sound["turn_detection"] = settings.turns and settings.turns.model_dump()
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "audio": {"input": sound},
    }


def session_body_as_before(settings: Settings, session_id: str) -> dict[str, Any]:
    """The same in the shape of the API's beta, which leaves out what is off."""
    names = {new: old for old, new in OLD_FORMATS.items()}
    body: dict[str, Any] = {
        "object": "realtime.transcription_session",
        "id": session_id,
        "input_audio_format": names[settings.format.type],
    }
    if settings.transcription is not None:
        body["input_audio_transcription"] = settings.transcription.model_dump(exclude_none=True)
    if settings.turns is not None:
        body["turn_detection"] = settings.turns.model_dump()
    return body


def _format_body(sound: Format) -> dict[str, Any]:
    return sound.model_dump(exclude=set() if sound.type == "audio/pcm" else {"rate"})
