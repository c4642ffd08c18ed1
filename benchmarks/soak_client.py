"""One simulated client of the soak: what it asks, and whether what came back may come back."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import openai

from tests.front_door import ECHO, GGUF, OPENVINO, WHISPER, RunningServer
from tests.hub_server import HubServer

PATIENCE = 60.0  # seconds after which a request that has not ended is taken for hung
LATE = 15.0  # seconds that a deadline may be missed by on a machine that is busy, all that came before it read
COOL_DOWN = 310.0  # seconds for which a model may rest after a load that a kill has broken
LOG_LINES = 40
LLMS = (OPENVINO, GGUF, "fluid-tiny-gguf:Q8_0", ECHO)
MODELS = (*LLMS, WHISPER)
GONE = frozenset({(404, "model_not_found"), (503, "model_downloading")})
BUSY = frozenset({(409, "conflict")})
FETCHING = BUSY | {(502, "hub_error"), (502, "hub_unreachable"), (502, "download_damaged")}
ALWAYS = {(429, "queue_full")}
FASHION = 2.0  # seconds for which most clients want the same two models: so models come and go, and not all at once


class Wrong(Exception):
    """An outcome that must not be."""


@dataclass(frozen=True)
class Failure:
    """What went wrong, and what the server's log said by then."""

    at: float
    client: int
    action: str
    request: str
    what: str
    log: list[str]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, and which failures are an answer to it besides those that always are: pairs of status and code."""

    method: str = "POST"
    path: str
    model: str | None = None
    timeout: float | None = None
    body: Any = None
    form: dict[str, str] | None = None
    sound: bytes | None = None
    may: frozenset[tuple[int, str]] = frozenset()

    def __str__(self) -> str:
        limit = f" X-Request-Timeout: {self.timeout:g}" if self.timeout else ""
        return f"{self.method} {self.path}{limit} {json.dumps(self.form if self.body is None else self.body)[:400]}"


@dataclass
class World:
    """What all clients share: when which model's worker was killed, and which models were fetched, among others."""

    server: RunningServer
    hub: HubServer | None
    seed: int
    started: float = field(default_factory=time.monotonic)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    kills: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    pulled: set[str] = field(default_factory=set)
    deleted: float = 0.0
    pins: int = 0
    unpinned: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def elapsed(self) -> float:
        """Seconds since the clients began."""
        return time.monotonic() - self.started

    def popular(self) -> list[str]:
        """The models that most clients want just now."""
        return random.Random(f"{self.seed} {int(self.elapsed / FASHION)}").sample(MODELS, 2)

    def killed(self, model: str | None, since: float) -> bool:
        """Whether a model's worker was killed from then on."""
        return any(when >= since for when in self.kills[model or ""])


class Client:
    """One client with its own dice, connections and name."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.dice = random.Random(f"{world.seed} client {number}")
        self.request = ""
        self._count = 0
        # The server closes what is idle for 5 s: who sends just then loses the race, which says nothing about it.
        limits = httpx.Limits(keepalive_expiry=2)
        headers = {"X-Client-ID": f"client {number % 7}"}
        address = world.server.address or ""
        self.http = httpx.AsyncClient(base_url=address, timeout=PATIENCE + 5, limits=limits, headers=headers)
        own = httpx2.AsyncClient(timeout=PATIENCE + 5, limits=httpx2.Limits(keepalive_expiry=2))
        self.sdk = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, http_client=own)

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return self.dice.random() < share

    def model(self, among: tuple[str, ...] = MODELS) -> str:
        """One that is popular now, mostly."""
        popular = [one for one in self.world.popular() if one in among]
        return self.dice.choice(popular if popular and self.chance(0.8) else among)

    # --- asking ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def sent(self, ask: Ask, **options: Any) -> AsyncGenerator[httpx.Response, None]:
        """The response, its body still to be read."""
        self._count += 1
        self.request = str(ask)
        headers = {"X-Request-ID": f"soak-{self.number}-{self._count}", **options.pop("headers", {})}
        if ask.timeout:
            headers["X-Request-Timeout"] = str(ask.timeout)
        files = {"file": ("speech.wav", ask.sound)} if ask.sound is not None else None
        request = self.http.stream(
            ask.method, ask.path, json=ask.body, data=ask.form, files=files, headers=headers, **options
        )
        async with request as response:
            yield response

    async def whole(self, ask: Ask, **options: Any) -> tuple[str, Any]:
        """The outcome of a request that is not streamed, and its answer: None where it has failed as it may."""
        started = time.monotonic()
        async with self.sent(ask, **options) as response:
            await response.aread()
        if response.is_success:
            kind = response.headers["content-type"]
            return "ok", response.json() if kind.startswith("application/json") else response.text
        return self.check_failure(ask, response.status_code, response.headers, body_of(response), started), None

    async def streamed(self, ask: Ask, **options: Any) -> tuple[str, list[Any]]:
        """The outcome of a stream, and its objects up to a failure."""
        started = time.monotonic()
        objects: list[Any] = []
        async with self.sent(ask, **options) as response:
            if not response.is_success:
                await response.aread()
                body = body_of(response)
                return self.check_failure(ask, response.status_code, response.headers, body, started), []
            async for one in frames(response.aiter_lines()):
                if is_failure(one):
                    return self.check_failure(ask, None, None, one, started), objects
                objects.append(one)
        return "ok", objects

    # --- judging -----------------------------------------------------------------------------------------

    def check_failure(
        self, ask: Ask, status: int | None, headers: httpx.Headers | None, body: Any, started: float
    ) -> str:
        """The code of a failure that may be. ``status`` is None in the middle of a stream. Errors: Wrong."""
        code = code_of(body)
        found = f"{status or 'in the stream'} {code}: {body['error']['message']}"
        if status in (429, 503) and headers is not None and not headers.get("retry-after", "").isdigit():
            raise Wrong(f"no Retry-After: {found}")
        if not self._may_be(ask, status, code, started):
            raise Wrong(f"not allowed here: {found}")
        return code

    def _may_be(self, ask: Ask, status: int | None, code: str, started: float) -> bool:
        if any(code == known and status in (None, number) for number, known in ALWAYS | ask.may):
            return True
        now = time.monotonic()
        if code == "insufficient_memory" and status in (None, 507):
            return bool(self.world.pins) or self.world.unpinned >= started  # only what is pinned is not waited for
        if code == "worker_died" and status in (None, 500):
            return self.world.killed(ask.model, started - 1)
        if code == "model_load_failed" and status in (None, 503):
            return self.world.killed(ask.model, now - COOL_DOWN)
        if code == "deadline_exceeded" and status in (None, 504) and ask.timeout is not None:
            return ask.timeout - 0.05 <= now - started <= ask.timeout + LATE
        return False

    async def do(self, name: str, action: Any) -> None:
        """One action, counted; what must not be is noted."""
        started = time.monotonic()
        self.request = ""
        try:
            async with asyncio.timeout(PATIENCE):
                outcome = await action(self)
        except TimeoutError:
            self.fail(name, f"hung: no end after {PATIENCE:.0f} s")
        except (Wrong, AssertionError, KeyError, ValueError, IndexError) as error:
            self.fail(name, f"{type(error).__name__}: {error}")
        except (httpx.HTTPError, openai.OpenAIError, OSError, EOFError) as error:
            self.fail(name, f"the connection: {error!r}")
        else:
            self.world.counts[name, outcome] += 1
        self.world.slowest[name] = max(self.world.slowest[name], time.monotonic() - started)

    def fail(self, action: str, what: str) -> None:
        """Note it, with the end of the log."""
        world = self.world
        world.counts[action, "WRONG"] += 1
        log = world.server.log[-LOG_LINES:]
        world.failures.append(Failure(world.elapsed, self.number, action, self.request, what, log))


def body_of(response: httpx.Response) -> Any:
    """The JSON of a response. Errors: Wrong."""
    try:
        return response.json()
    except ValueError:
        raise Wrong(f"{response.status_code} with a body that is no JSON: {response.text[:200]!r}") from None


def is_failure(one: Any) -> bool:
    """Whether an object of a stream says that it has failed. A download has a field of that name too."""
    return "error" in one and "object" not in one


def code_of(body: Any) -> str:
    """The code of a failure in OpenAI's shape. Errors: Wrong."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or set(error) != {"message", "type", "param", "code"} or set(body) != {"error"}:
        raise Wrong(f"not OpenAI's shape: {json.dumps(body)[:300]}")
    if not all(isinstance(error[name], str) and error[name] for name in ("message", "type", "code")):
        raise Wrong(f"an error without message, type or code: {json.dumps(body)[:300]}")
    return str(error["code"])


async def frames(lines: AsyncIterator[str]) -> AsyncGenerator[dict[str, Any], None]:
    """The objects of a stream of events. Errors: Wrong where it ends without [DONE] or a failure."""
    ended = False
    async for line in lines:
        if not line or line.startswith(":"):
            continue
        if ended:
            raise Wrong(f"something follows the end of the stream: {line[:200]!r}")
        if not line.startswith("data: "):
            raise Wrong(f"no event: {line[:200]!r}")
        if line == "data: [DONE]":
            ended = True
            continue
        one = json.loads(line.removeprefix("data: "))
        ended = is_failure(one)
        yield one
    if not ended:
        raise Wrong("the stream ended with neither [DONE] nor an error")
