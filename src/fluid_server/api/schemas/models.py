"""Requests about models: fetching, loading, pinning."""

from __future__ import annotations

from pydantic import Field

from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.strict import Strict


class PullBody(Strict):
    """POST /v1/models/pull."""

    model: str = Field(
        min_length=1,
        max_length=256,
        description="a known model's name, or `owner/repo`, `owner/repo:QUANT`, `owner/repo/file.gguf` on the Hub",
    )
    stream: bool = Field(False, description="answer with progress as server-sent events, until it is over")


class LoadBody(Strict):
    """POST /v1/models/{model}/load."""

    keep_alive: KeepAlive = None
    pin: bool | None = Field(None, description="pin it, or unpin it, too")


class PinBody(Strict):
    """POST /v1/models/{model}/pin."""

    pinned: bool = Field(True, description="false: no longer")
