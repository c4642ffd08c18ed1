"""The API key. Checked inside CORS, so that a page that may call can read why it was turned away.

A page cannot set headers on a WebSocket: there the key may come as the subprotocol ``openai-insecure-api-key.KEY``, as
with OpenAI. What a page should have in it is a secret that soon expires (api.ephemeral).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from fluid_server.api.errors import response_to
from fluid_server.errors import Unauthorized

# Supervisors have no key, and the API's description is no secret.
OPEN_PATHS = frozenset({"/live", "/ready", "/health", "/", "/docs", "/redoc", "/openapi.json"})
OPEN_FOLDER = "/web/"
KEY_PROTOCOL = "openai-insecure-api-key."


class KeyCheck:
    """Turns away requests without the key. ``known`` says of a WebSocket's other secret whether it is let in by it."""

    def __init__(self, app: ASGIApp, key: str, known: Callable[[str], bool]) -> None:
        self._app = app
        self._key = key.encode()
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open or has the key."""
        if scope["type"] not in ("http", "websocket") or is_open(scope["path"]) or self._fits(scope):
            await self._app(scope, receive, send)
            return
        error = Unauthorized("Incorrect or missing API key. Send it as 'Authorization: Bearer KEY'.")
        await response_to(error)(scope, receive, send)

    def _fits(self, scope: Scope) -> bool:
        live = scope["type"] == "websocket"
        return any(
            hmac.compare_digest(key.encode(), self._key) or (live and self._known(key)) for key in presented(scope)
        )


def presented(scope: Scope) -> Iterator[str]:
    """The keys that a request shows."""
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield key.strip()
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(KEY_PROTOCOL):
            yield protocol.removeprefix(KEY_PROTOCOL)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
