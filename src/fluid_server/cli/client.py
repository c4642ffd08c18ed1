"""A client of a running server. Its failures are raised here as they were raised there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx2

from fluid_server.cli.words import repeated
from fluid_server.errors import FluidError, ModelNotFound, Unauthorized, Unavailable

Json = Mapping[str, Any]
NAME = "Fluid Server"
HELLO = 5.0  # seconds to say who it is
ANSWER = 60.0  # seconds for what is known at once; a busy machine takes its time
LOAD: float | None = None  # the server itself says when a load has taken too long
LINES = "application/x-ndjson"


class Client:
    """Speaks to one server, and never through a proxy: it is on this machine."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=ANSWER)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def is_fluid_server(self) -> bool:
        """Whether it is what we take it for; not where nobody listens. It is not told the key for this.

        Errors: Unavailable where somebody listens and does not answer.
        """
        try:
            told = (await self._http.get("/", timeout=HELLO)).json()
        except (httpx2.ConnectError, httpx2.InvalidURL, ValueError):
            return False
        except httpx2.HTTPError as error:
            raise Unavailable(f"The server at {self.url} does not answer. End it, or wait.") from error
        return isinstance(told, dict) and told.get("name") == NAME

    async def version(self) -> str:
        """Its version."""
        return str((await self._ask("GET", "/"))["version"])

    async def models(self) -> list[Json]:
        """All models."""
        found: list[Json] = (await self._ask("GET", "/v1/models"))["data"]
        return found

    async def model(self, name: str) -> Json:
        """One model, by any of its names."""
        return await self._ask("GET", _path(name))

    async def load(self, name: str, wishes: Json) -> Json:
        """Load a model and wait until it is ready. ``wishes``: keep_alive, pin."""
        return await self._ask("POST", f"{_path(name)}/load", wishes, timeout=LOAD)

    async def unload(self, name: str) -> Json:
        """Let a model go."""
        return await self._ask("POST", f"{_path(name)}/unload", {})

    async def remove(self, name: str) -> Json:
        """Delete a model's files."""
        return await self._ask("DELETE", _path(name))

    async def downloads(self) -> list[Json]:
        """All downloads, the newest first."""
        found: list[Json] = (await self._ask("GET", "/v1/downloads"))["data"]
        return found

    async def pause(self, download: str) -> Json:
        """Pause a download."""
        return await self._ask("POST", f"/v1/downloads/{download}/pause", {})

    async def cancel(self, download: str) -> Json:
        """End a download and delete what has come."""
        return await self._ask("POST", f"/v1/downloads/{download}/cancel", {})

    async def pull(self, name: str) -> AsyncGenerator[Json, None]:
        """Fetch a model: the download as it is now and after each change, until it has ended."""
        body = {"model": name, "stream": True}
        headers = {**self._key, "Accept": LINES}
        async with (
            self._understood(),
            self._http.stream("POST", "/v1/models/pull", json=body, headers=headers, timeout=None) as answer,
        ):
            if not answer.is_success:
                await answer.aread()
                raise _failure(answer)
            async for line in answer.aiter_lines():
                if line.strip():
                    yield _checked(json.loads(line))

    async def events(self) -> AsyncGenerator[Json, None]:
        """What happens in the server, from now on."""
        async with (
            self._understood(),
            self._http.stream("GET", "/v1/events", headers=self._key, timeout=None) as answer,
        ):
            if not answer.is_success:
                await answer.aread()
                raise _failure(answer)
            async for event in httpx2.EventSource(answer):
                yield json.loads(event.data)

    async def _ask(self, method: str, path: str, body: Json | None = None, *, timeout: float | None = ANSWER) -> Json:
        async with self._understood():
            answer = await self._http.request(method, path, json=body, headers=self._key, timeout=timeout)
            if not answer.is_success:
                raise _failure(answer)
            told: Json = answer.json()
        return told

    @asynccontextmanager
    async def _understood(self) -> AsyncGenerator[None, None]:
        """What goes wrong on the way, as a failure of ours."""
        try:
            yield
        except httpx2.TimeoutException as error:
            raise Unavailable(f"The server at {self.url} did not answer in time. Its log may say why.") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"The server at {self.url} has gone. Is it still running?") from error
        except ValueError as error:
            raise Unavailable(f"The server at {self.url} gave an answer that makes no sense here.") from error


def _path(name: str) -> str:
    """A model's place in the API. Names are no paths, so one that would walk about is none."""
    if not all(part.strip(".") for part in name.split("/")):
        raise ModelNotFound(
            f"There is no model '{repeated(name)}'. 'fluid-server list' shows what is there.", param="model"
        )
    return f"/v1/models/{quote(name, safe='/:')}"


def _failure(answer: httpx2.Response) -> FluidError:
    """The failure that a response tells of."""
    try:
        told = answer.json()["error"]
        return _told(told)
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"The server answered with the status {answer.status_code} and did not say why.")


def _checked(line: Json) -> Json:
    """A line of a stream; one that tells of a failure raises it."""
    if "error" in line and line.get("object") != "download":
        raise _told(line["error"])
    return line


def _told(error: Json) -> FluidError:
    if error["code"] == Unauthorized.code:
        return Unauthorized("The server wants its API key. Set FLUID_API_KEY to it.")
    return FluidError(str(error["message"]), param=error.get("param"), code=error["code"])
