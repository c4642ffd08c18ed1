"""A case is sent to a server, request by request, and the bytes that come back are read."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from scripts.contract.case import EMBED, SPEAK, Ask, Case, Outcome, Reply, Verdict
from scripts.contract.judging import BAD_REQUEST, SERVER_FAILED, judge
from scripts.contract.typed import Published, kind_of

PATIENCE = 120.0  # seconds that one request may take in all
DONE = "[DONE]"
SOUNDS = ("audio/", "application/octet-stream")  # media types that begin so
TEXTS = frozenset({"text", "srt", "vtt"})  # transcripts that are no JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The models for cases with sound, for those in which a text is said, and for those with embeddings.

    Without one its cases cannot be tried.
    """

    speech: str | None = None
    voice: str | None = None
    embedder: str | None = None


class Server:
    """A server under test. ``base_url`` ends with /v1, as an OpenAI client is given it."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        others: Others | None = None,
        key: str = "none",
        published: Published | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.model = model
        self._others = others or Others()
        self._base_url = base_url.rstrip("/")
        self._published = published
        self._patience = patience
        # A connection for each request: what one server does with those that are kept is no part of the contract.
        fresh = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=patience, limits=fresh)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def takes(self, case: Case) -> bool:
        """Whether there is a model that it can be tried with."""
        there = self._others
        wanted = ((case.spoken, there.speech), (case.speaks, there.voice), (case.embeds, there.embedder))
        return all(model is not None for takes, model in wanted if takes)

    def _model_for(self, ask: Ask) -> str:
        there = self._others
        by_path = {SPEAK: there.voice, EMBED: there.embedder}
        special = by_path.get(ask.path, there.speech if ask.form is not None else None)
        return special or self.model

    def try_case(self, case: Case) -> Verdict:
        """Send the case's requests one after the other, as far as they succeed, and judge."""
        asks: list[Ask] = []
        replies: list[Reply] = []
        for ask in case.asks:
            try:
                filled = ask.filled(self._model_for(ask), replies)
            except LookupError as error:
                return Verdict(name=case.name, outcome=Outcome.BROKEN, reason=f"malformed: {error.args[0]}")
            asks.append(filled)
            replies.append(self.send(filled))
            if not replies[-1].success:
                break
        return judge(case, asks, replies, self._published)

    def send(self, ask: Ask) -> Reply:
        """One request and its whole answer."""
        started = time.monotonic()
        try:
            status, headers, content = self._exchange(ask, started + self._patience)
        except httpx.HTTPError as error:
            return Reply(problem=f"no answer: {type(error).__name__}", seconds=time.monotonic() - started)
        except TimeoutError:
            return Reply(problem=f"it hangs: no end after {self._patience:g} s", seconds=time.monotonic() - started)
        return read(ask, status, headers, content, time.monotonic() - started)

    def _exchange(self, ask: Ask, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        received = bytearray()
        with self._http.stream(ask.method, self._base_url + ask.path, **_sent(ask)) as response:
            for part in response.iter_bytes():
                received += part
                if time.monotonic() > deadline:
                    raise TimeoutError
            return response.status_code, response.headers, bytes(received)


def _sent(ask: Ask) -> dict[str, Any]:
    """What goes with a request, in httpx's words. Each part of a form is a file to it, most without a name."""
    if ask.form is not None:
        parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in ask.form]
        sound = [("file", ("speech.wav", ask.sound, "audio/wav"))] if ask.sound is not None else []
        return {"files": [*parts, *sound], "headers": dict(ask.headers)}
    content = ask.raw if ask.raw is not None else None if ask.body is None else json.dumps(ask.body).encode()
    headers = {"Content-Type": "application/json", **ask.headers} if content is not None else dict(ask.headers)
    return {"content": content, "headers": headers}


def read(ask: Ask, status: int, headers: Mapping[str, str], content: bytes, seconds: float) -> Reply:
    """An answer's bytes as a reply. Pure."""
    came = headers.get("content-type", "")
    if came.startswith(SOUNDS) and 200 <= status < 300:
        return Reply(status=status, headers=headers, sound=content, seconds=seconds)
    events_came = came.startswith("text/event-stream")
    reading = _events if events_came else _text if ask.format in TEXTS and status < BAD_REQUEST else _object
    found: dict[str, Any]
    try:
        found = reading(content.decode("utf-8"))
    except ValueError as error:
        refused = BAD_REQUEST <= status < SERVER_FAILED  # in whatever words
        found = {"body": content.decode("utf-8", "replace")} if refused else {"problem": f"malformed: {error}"}
    if ask.stream and not events_came and 200 <= status < 300 and kind_of(ask):
        found = {"problem": "an object came where events were asked for"}
    return Reply(status=status, headers=headers, seconds=seconds, **found)


def _object(text: str) -> dict[str, Any]:
    return {"body": json.loads(text) if text else None}


def _text(text: str) -> dict[str, Any]:
    return {"body": text}


def _events(text: str) -> dict[str, Any]:
    """Server-sent events: their data and names. Comments are none. Errors: ValueError."""
    events: list[Any] = []
    names: list[str] = []
    done = False
    for block in text.replace("\r\n", "\n").split("\n\n"):
        name, data = _event(block.split("\n"))
        if data is None:
            continue
        if done:
            raise ValueError("events come behind [DONE]")
        if data == DONE:
            done = True
            continue
        events.append(json.loads(data))
        names.append(name)
    return {"events": tuple(events), "names": tuple(names), "done": done, "problem": _failure(events, names)}


def _event(lines: Sequence[str]) -> tuple[str, str | None]:
    name, data = "", None
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data = value if data is None else f"{data}\n{value}"
        elif field == "event":
            name = value
        elif field not in ("", "id", "retry"):
            raise ValueError(f"a stream has the line {line[:40]!r}")
    return name, data


def _failure(events: Sequence[Any], names: Sequence[str]) -> str:
    """What a stream's own error event says; a stream of objects only."""
    for event, name in zip(events, names, strict=True):
        if not isinstance(event, dict):
            return "malformed: an event that is no object"
        if "error" in event and event["error"] is not None and not name:
            return f"an error in the stream: {str(event['error'])[:80]}"
    return "" if events else "an empty stream"
