"""The API key. Checked inside CORS, so that a page that may call can read why it was turned away."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from fluid_server.api.errors import response_to
from fluid_server.errors import Unauthorized

# Supervisors have no key, and the API's description is no secret.
OPEN_PATHS = frozenset({"/live", "/ready", "/health", "/", "/docs", "/redoc", "/openapi.json"})
OPEN_FOLDER = "/web/"


class KeyCheck:
    """Turns away requests without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is open or has the key."""
        if scope["type"] != "http" or is_open(scope["path"]) or self._fits(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        error = Unauthorized("Incorrect or missing API key. Send it as 'Authorization: Bearer KEY'.")
        await response_to(error)(scope, receive, send)

    def _fits(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self._key)


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
