"""Secrets that open realtime sessions for a short time: what a page may hold in place of the server's key."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from fluid_server.api.schemas.realtime_session import Settings

MOST = 1_000  # that are valid at the same time; beyond it the oldest goes


@dataclass(frozen=True, slots=True)
class Secret:
    """``expires_at`` is in epoch seconds; a session that it has opened goes on. ``settings`` is how one begins."""

    value: str
    expires_at: int
    settings: Settings


class Secrets:
    """All that were issued and have not expired. They are not kept beyond the life of the server."""

    def __init__(self) -> None:
        self._issued: dict[str, Secret] = {}

    def issue(self, settings: Settings, seconds: int) -> Secret:
        """A new one."""
        now = time.time()
        self._issued = {value: one for value, one in self._issued.items() if one.expires_at > now}
        while len(self._issued) >= MOST:
            del self._issued[next(iter(self._issued))]
        secret = Secret("ek_" + secrets.token_hex(24), int(now) + seconds, settings)
        self._issued[secret.value] = secret
        return secret

    def find(self, value: str) -> Secret | None:
        """The secret of that value, unless it has expired."""
        secret = self._issued.get(value)
        return secret if secret is not None and secret.expires_at > time.time() else None

    def knows(self, value: str) -> bool:
        """Whether it opens a session now."""
        return self.find(value) is not None


async def _secrets(connection: HTTPConnection) -> Secrets:
    return cast("Secrets", connection.app.state.secrets)


AllSecrets = Annotated[Secrets, Depends(_secrets)]
