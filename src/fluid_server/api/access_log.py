"""One line a request, an id that ties it to the client's own log, and a count."""

from __future__ import annotations

import logging
import sys
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fluid_server.api.errors import CLIENT_CLOSED_REQUEST, FAILED
from fluid_server.managers.runtime_manager import RuntimeManager

logger = logging.getLogger(__name__)
QUIET = frozenset({"/live", "/ready", "/health", "/metrics"})
MAX_ID = 128
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
PREFIX = "/v1"
# What an answer begins with; a WebSocket that was accepted has the status 101.
BEGINS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
SWITCHED = 101


class AccessLog:
    """Logs method, path, status and duration, and counts.

    Answers with X-Request-ID (the client's own if it sent one) and OpenAI-Processing-MS: the time until the answer
    began.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and log when it is over."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = request_id_of(Headers(scope=scope))
        scope.setdefault("state", {}).update(arrived=time.monotonic(), request_id=request_id)
        status = CLIENT_CLOSED_REQUEST  # unless there is an answer

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] in BEGINS:
                status = message.get("status", SWITCHED)
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["OpenAI-Processing-MS"] = f"{(time.perf_counter() - started) * 1000:.0f}"
            await send(message)

        try:
            await self._app(scope, receive, tell)
        finally:
            if isinstance(sys.exception(), Exception):
                status = FAILED
            level = logging.DEBUG if scope["path"] in QUIET else logging.INFO
            milliseconds = (time.perf_counter() - started) * 1000
            failure = scope.get("state", {}).get("failure")
            extra = {"request": request_id, **({"code": failure} if failure else {})}
            logger.log(
                level, "%s %s %d %.0f ms", scope.get("method", "GET"), scope["path"], status, milliseconds, extra=extra
            )
            _count(scope, status)


def _count(scope: Scope, status: int) -> None:
    """Under the route's template: clients can think of any number of paths, and of methods."""
    manager: RuntimeManager = scope["app"].state.manager
    method = scope.get("method", "GET")
    manager.metrics.http_requests.labels(method if method in METHODS else "other", _route_of(scope), status).inc()


def _route_of(scope: Scope) -> str:
    """The template of the route that was reached; FastAPI may name it without the prefix of its router."""
    template: str = getattr(scope.get("route"), "path_format", "") or "none"
    below = scope["path"].startswith(f"{PREFIX}/") and template.startswith("/")
    return PREFIX + template if below and not template.startswith(f"{PREFIX}/") else template


def request_id_of(headers: Headers) -> str:
    """The client's id, if it is short and printable, else a new one."""
    sent = headers.get("x-request-id", "")
    return sent if sent.isascii() and sent.isprintable() and 0 < len(sent) <= MAX_ID else "req_" + uuid.uuid4().hex
