"""Another server that speaks OpenAI's API, in the ways in which servers differ: the model's name says which."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, Self

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from tests.front_door import PATIENCE, until

WORDS = 5
Json = dict[str, Any]


class Cut(Exception):
    """The server closes the connection in the middle of its answer."""


class Foreign:
    """Serves on a free port as long as it is open. ``asked`` are the bodies and ``keys`` the keys that came."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self.keys: set[str] = set()
        config = uvicorn.Config(self._app, interface="asgi3", port=0, ws="none", lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(PATIENCE)

    @property
    def url(self) -> str:
        """What an OpenAI client is given."""
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/v1"

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (part := await receive())["type"] == "http.request":
            body += part["body"]
            if not part.get("more_body"):
                break
        asked = json.loads(body)
        self.asked.append(asked)
        self.keys.add(dict(scope["headers"]).get(b"authorization", b"").decode())
        await _answer(str(asked["model"]), asked, _Line(send), first=len(self.asked) <= 3)


class _Line:
    """Writes one answer."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def begin(self, status: int, kind: str) -> None:
        headers = [(b"content-type", kind.encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def event(self, told: Mapping[str, Any]) -> None:
        await self.write(b"data: " + json.dumps(told).encode() + b"\r\n\r\n")

    async def write(self, data: bytes, *, more: bool = True) -> None:
        message: Message = {"type": "http.response.body", "body": data, "more_body": more}
        await self._send(message)

    async def fail(self, status: int, error: object) -> None:
        await self.begin(status, "application/json")
        await self.write(json.dumps({"error": error}).encode(), more=False)


async def _answer(model: str, asked: Json, line: _Line, *, first: bool) -> None:
    """``first``: one of the requests before the measurement, which goes well where the model can do anything."""
    if model == "locked":
        await line.fail(401, {"message": "Who are you?", "code": "invalid_api_key"})
    elif model == "absent":
        await line.fail(404, "no such model")
    elif model == "crowded" and not first:
        await line.fail(429, {"message": "Too many.", "code": "rate_limit_exceeded"})
    elif model == "picky" and "stream_options" in asked:
        await line.fail(400, {"message": "Unknown field stream_options."})
    elif model == "modern" and "max_tokens" in asked:
        await line.fail(400, {"message": "Use 'max_completion_tokens' instead.", "param": "max_tokens"})
    elif model == "whole":
        await line.begin(200, "application/json")
        await line.write(b"{}", more=False)
    else:
        await _stream(model, line, first=first, usage="stream_options" in asked)


async def _stream(model: str, line: _Line, *, first: bool, usage: bool) -> None:
    await line.begin(200, "text/event-stream; charset=utf-8")
    await line.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    for word in range(WORDS):
        await line.event({"choices": [{"delta": {"content": f"word{word} "}}]})
        if not first and word == 2 and model == "cuts":
            raise Cut
        if not first and word == 2 and model == "breaks":
            await line.event({"error": {"message": "The engine fell over."}})
    await line.event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None})
    if usage and model != "silent on usage":
        await line.event({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 2 * WORDS}})
    await line.write(b"data: [DONE]\n\n", more=False)
