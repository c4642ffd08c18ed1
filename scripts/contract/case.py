"""What is asked and what must come of it: one case is one promise of the contract. Nothing here does anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

SPEAK = "/audio/speech"
EMBED = "/embeddings"
REFERENCE = re.compile(r"\$(\d)((?:\.\w+)+)")


class Outcome(StrEnum):
    """How a server took a request, the best first."""

    HONOURED = "honoured"
    BY_NAME = "refused by name"
    OTHERWISE = "refused otherwise"
    IGNORED = "ignored"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One HTTP request, its path below /v1.

    The model under test is put into a body that says nothing of a model; ``named`` False leaves it out. ``raw`` is
    sent as it stands, in place of a body. ``form`` is a multipart form with ``sound`` as its file, if there is one; the
    model is then the one for speech. At the path SPEAK it is the one that speaks, at EMBED the one that embeds.
    ``$0.id`` in a path or body stands for the field ``id`` of the answer to the case's first request, ``$1.data.0.id``
    for a field of a list in the second, ``$0.events.0.id`` for a field of an event.
    """

    path: str
    body: Mapping[str, Any] | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    named: bool = True
    form: tuple[tuple[str, str], ...] | None = None
    sound: bytes | None = None

    @property
    def stream(self) -> bool:
        """Whether events are asked for."""
        if self.path == SPEAK:
            return (self.body or {}).get("stream_format") == "sse"
        asked = bool(self.body and self.body.get("stream") is True) or ("stream", "true") in (self.form or ())
        return asked or "stream=true" in self.path

    @property
    def fields(self) -> frozenset[str]:
        """The names of what is sent, without what is inside of them."""
        names = {name.partition("[")[0] for name, _ in self.form or ()} | (self.body or {}).keys()
        return frozenset(names | {"file"} if self.sound is not None else names)

    @property
    def format(self) -> str:
        """The form of a transcript that is asked for."""
        return dict(self.form or ()).get("response_format", "json")

    def filled(self, model: str, answers: Sequence[Reply]) -> Ask:
        """With the model, and with what earlier answers say. Errors: LookupError where they do not say it."""
        body = self.body
        if body is not None and self.named and "model" not in body:
            body = {"model": model, **body}
        form = self.form
        if form is not None and self.named and "model" not in dict(form):
            form = (("model", model), *form)
        path = _filled(self.path.replace("$model", model), answers)
        return replace(self, path=path, body=_filled(body, answers), form=form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. ``status`` 0: nothing did, and ``problem`` says why.

    ``body`` is the JSON of an answer that is no stream, or its text where that was asked for; ``events`` the JSON of a
    stream's data, ``names`` what each event is called (empty where it is not), ``done`` whether ``[DONE]`` ended it.
    ``sound`` is an answer that is a sound file. ``problem`` is what no client could read. ``seconds`` is how long all
    of it took.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    events: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    done: bool = False
    sound: bytes = b""
    problem: str = ""
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the server says that it did what was asked."""
        return 200 <= self.status < 300


Check = Callable[[Sequence[Reply]], str]
"""Empty where the answers (one for each request of the case) show that it was honoured, else what shows that not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a request that cannot be right must be refused. ``code`` is OpenAI's, where clients look at it."""

    status: int = 400
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One promise. ``fields`` are those that it is about: a refusal must name one of them.

    With ``refusal`` the last request must be refused; without, it may be refused by the name of a field, or must be
    honoured as ``check`` sees it. ``able``: it also takes a model that follows such a request; ``ours``: it is about
    what OpenAI's contract does not have, and is not part of a score.
    """

    name: str
    group: str
    api: str
    proves: str
    asks: tuple[Ask, ...]
    fields: tuple[str, ...] = ()
    check: Check = lambda _: ""
    refusal: Refusal | None = None
    able: bool = False
    ours: bool = False

    @property
    def spoken(self) -> bool:
        """Whether it takes a model for speech."""
        return any(ask.form is not None for ask in self.asks)

    @property
    def speaks(self) -> bool:
        """Whether it takes a model that speaks."""
        return any(ask.path == SPEAK for ask in self.asks)

    @property
    def embeds(self) -> bool:
        """Whether it takes a model that embeds."""
        return any(ask.path == EMBED for ask in self.asks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a case. ``reason`` says why it is not honoured, or how it was refused.

    ``invalid`` is where answers differ from the published schemas, ``extras`` the fields that the official client does
    not know.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    invalid: tuple[str, ...] = ()
    extras: frozenset[str] = frozenset()
    seconds: float = 0.0


def _filled(value: Any, answers: Sequence[Reply]) -> Any:
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        return _found(whole, answers) if whole else REFERENCE.sub(lambda one: str(_found(one, answers)), value)
    if isinstance(value, Mapping):
        return {name: _filled(inside, answers) for name, inside in value.items()}
    return [_filled(inside, answers) for inside in value] if isinstance(value, list) else value


def _found(reference: re.Match[str], answers: Sequence[Reply]) -> Any:
    answer = answers[int(reference[1])]
    found: Any = {"events": list(answer.events)} if answer.events else answer.body
    for step in reference[2][1:].split("."):
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (LookupError, TypeError, ValueError):
            raise LookupError(f"an answer has no {reference[2][1:]}") from None
    return found
