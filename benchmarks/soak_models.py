"""What the soak's clients do with models: load, unload, pin and kill them, look at them, and ask for nonsense."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil

from benchmarks.soak_client import BUSY, FETCHING, MODELS, PATIENCE, Ask, Client, Wrong, frames
from benchmarks.soak_requests import CHAT, SOUNDS, TRANSCRIPTIONS, messages
from tests.front_door import ECHO, WHISPER

MAX_LOADED = 3
PAGES = ("/v1/models", "/metrics", "/health", "/live", "/ready", "/v1/downloads")


async def load(client: Client) -> str:
    """Bring a model in, and go away before it is there now and then."""
    model = client.model()
    body = client.dice.choice([None, {"keep_alive": client.dice.choice([0, 2, "3s"])}])
    limit = client.dice.uniform(0, 0.5) if client.chance(0.2) else PATIENCE
    timeout = round(client.dice.uniform(0.05, 3), 2) if client.chance(0.2) else None
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            ask = Ask(path=f"/v1/models/{model}/load", model=model, body=body, timeout=timeout)
            outcome, answer = await client.whole(ask)
            if outcome == "ok" and answer["id"] != model:
                raise Wrong(f"'{answer['id']}' was loaded in place of '{model}'")
            return outcome
    return "left"


async def unload(client: Client) -> str:
    """Let a model go, unless it is in use."""
    model = client.model()
    outcome, _ = await client.whole(Ask(path=f"/v1/models/{model}/unload", model=model, may=BUSY))
    return outcome


async def pin(client: Client) -> str:
    """Pin a model for a moment."""
    model = client.model()
    path = f"/v1/models/{model}/pin"
    world = client.world
    world.pins += 1
    _, answer = await client.whole(Ask(path=path, model=model))
    await asyncio.sleep(client.dice.uniform(0, 1))
    outcome, after = await client.whole(Ask(path=path, model=model, body={"pinned": False}))
    world.pins -= 1
    world.unpinned = time.monotonic()
    if not answer["pinned"] or after["pinned"]:
        raise Wrong(f"pinned: {answer['pinned']}, then {after['pinned']}")
    return outcome


async def kill(client: Client) -> str:
    """Kill a worker."""
    _, health = await client.whole(Ask(method="GET", path="/health"))
    # A load that is broken makes its model rest for 10 s and more: not too often.
    running = {
        model: one for model, one in health["models"].items()
        if one["pid"] and (one["state"] in ("ready", "draining") or client.chance(0.1))
    }  # fmt: skip
    if not running:
        return "nothing runs"
    model = client.dice.choice(sorted(running))
    try:
        process = psutil.Process(running[model]["pid"])
        if process.ppid() != client.world.server.process.pid:
            return "gone by now"
        client.world.kills[model].append(time.monotonic())
        process.kill()
    except psutil.NoSuchProcess:
        return "gone by now"
    return f"killed while {running[model]['state']}"


async def look(client: Client) -> str:
    """Read what there is to read."""
    path = client.dice.choice(
        ["/v1/models", "/metrics", "/health", "/live", "/ready", "/v1/downloads", f"/v1/models/{client.model()}"]
    )
    outcome, answer = await client.whole(Ask(method="GET", path=path))
    if path == "/health":
        alive = [name for name, one in answer["models"].items() if one["state"] in ("loading", "warming", "ready")]
        if len([name for name in alive if answer["models"][name]["pid"]]) > MAX_LOADED:
            raise Wrong(f"more than {MAX_LOADED} models are in memory: {alive}")
    return outcome


async def listen(client: Client) -> str:
    """Follow the feed for a moment, and check that the states follow each other."""
    states: dict[str, str] = {}
    ask = Ask(method="GET", path="/v1/events")
    with suppress(TimeoutError):
        async with asyncio.timeout(client.dice.uniform(0.1, 4)), client.sent(ask) as response:
            async for one in frames(response.aiter_lines()):
                follow(states, one)
    return "left"


def follow(states: dict[str, str], one: dict[str, Any]) -> None:
    """Errors: Wrong where an event does not go with those before it. Models that are fetched may change their names."""
    if one["type"] == "snapshot":
        states.update({model["id"]: model["state"] for model in one["models"] if model["id"] in MODELS})
    elif one["type"] == "feed.lagged":
        states.clear()
    elif one["type"] == "model.state" and one["model"] in MODELS:
        before = states.get(one["model"], one["previous"])
        if before != one["previous"]:
            raise Wrong(f"{one['model']} was {before}, and the feed says that it was {one['previous']}")
        states[one["model"]] = one["state"]


# --- what is refused ---------------------------------------------------------------------------------------

BAD: tuple[tuple[Ask, tuple[int, str]], ...] = (
    (Ask(path=CHAT, body={"model": "no-such-model", "messages": messages("Hello")}), (404, "model_not_found")),
    (Ask(path=CHAT, body={"model": WHISPER, "messages": messages("Hello")}), (400, "model_not_capable")),
    (Ask(path=CHAT, body={"model": ECHO}), (400, "missing_required_parameter")),
    (Ask(path=CHAT, body={"model": ECHO, "messages": messages("Hello"), "n": 99}), (400, "invalid_value")),
    (Ask(path=CHAT, body={"model": ECHO, "messages": messages("a"), "keep_alive": "soon"}), (400, "invalid_value")),
    (Ask(path=CHAT, body={"model": ECHO, "messages": messages("a"), "nonsense": 1}), (400, "unknown_parameter")),
    (Ask(path=CHAT, body=[1]), (400, "invalid_body")),
    (Ask(path=TRANSCRIPTIONS, model=WHISPER, form={"model": WHISPER}, sound=b""), (400, "invalid_audio")),
    (Ask(path=TRANSCRIPTIONS, model=WHISPER, form={"model": WHISPER}, sound=b"noise"), (400, "invalid_audio")),
    (Ask(path=TRANSCRIPTIONS, form={"model": ECHO}, sound=SOUNDS["hello"]), (400, "model_not_capable")),
    (Ask(path="/v1/models/no-such-model/load"), (404, "model_not_found")),
    (Ask(path="/v1/models/no-such-model/unload"), (404, "model_not_found")),
    (Ask(path="/v1/models/pull", body={"model": "../../etc"}), (400, "invalid_value")),
    (Ask(path="/v1/models/pull", body={"model": "soak/no-such"}, may=FETCHING), (404, "repository_not_found")),
    (Ask(path="/v1/downloads/dl-0/pause"), (404, "download_not_found")),
    (Ask(method="DELETE", path="/v1/models/no-such-model"), (404, "model_not_found")),
    (Ask(method="DELETE", path=f"/v1/models/{ECHO}", may=BUSY), (400, "invalid_value")),
    (Ask(method="GET", path="/v1/nothing"), (404, "not_found")),
)  # fmt: skip


async def bad(client: Client) -> str:
    """Something that must be refused, with the status and code that it has."""
    ask, (status, code) = client.dice.choice(BAD)
    ask = replace(ask, may=ask.may | {(status, code)})
    outcome, answer = await client.whole(ask)
    if outcome == "ok":
        raise Wrong(f"{status} {code} was to be expected, and it is answered: {json.dumps(answer)[:300]}")
    return outcome
