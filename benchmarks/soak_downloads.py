"""What the soak's clients do with downloads: pull, steer, use and delete, from a Hub that fails now and then."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

from benchmarks.soak_client import BUSY, FETCHING, GONE, MODELS, Ask, Client, Wrong, is_failure
from benchmarks.soak_requests import ask_model
from tests.hub_server import API, Fault

REPOSITORIES = {
    "soak/tiny-GGUF:Q8_0": "fluid-tiny-Q8_0.gguf",
    "soak/tiny-GGUF:F16": "fluid-tiny-F16.gguf",
    "soak/tiny-ov": "openvino_model.bin",
}
DOUBT = 5.0  # seconds in which a model that is being deleted may be here or not


async def pull(client: Client) -> str:
    """Fetch a model from a Hub that fails now and then; stay until it is here, or not."""
    name = client.dice.choice(list(REPOSITORIES))
    spoil(client, name)
    way, started = client.dice.choice(["job", "events", "lines", "leave"]), time.monotonic()
    headers = {"Accept": "application/x-ndjson"} if way == "lines" else {}
    ask = Ask(path="/v1/models/pull", body={"model": name, "stream": way in ("events", "leave")}, may=FETCHING)
    if way == "lines":
        outcome, text = await client.whole(ask, headers=headers)
        steps = [json.loads(line) for line in text.splitlines()] if text else []
        if steps and is_failure(steps[-1]):
            return client.check_failure(ask, None, None, steps[-1], started)
    elif way == "leave":
        with suppress(TimeoutError):
            async with asyncio.timeout(client.dice.uniform(0.01, 1)):
                return (await client.streamed(ask))[0]
        return "left"
    elif way == "events":
        outcome, steps = await client.streamed(ask)
    else:
        return (await client.whole(ask))[0]
    return ended(client, outcome, steps, started)


def ended(client: Client, outcome: str, steps: list[Any], started: float) -> str:
    """How a watched download ended. Errors: Wrong where it did not, or ended without a model."""
    if outcome != "ok":
        return outcome
    last = steps[-1]
    if last["state"] not in ("completed", "paused", "cancelled"):
        raise Wrong(f"the stream ended while the download is {last['state']}")
    if last["state"] == "completed":
        if last["model"]:
            client.world.pulled.add(last["model"])
        if last["bytes_done"] != last["bytes_total"] and client.world.deleted < started - DOUBT:
            raise Wrong(f"completed with {last['bytes_done']} of {last['bytes_total']} bytes")
    return str(last["state"])


def spoil(client: Client, name: str) -> None:
    """Let the Hub fail once, in one of the ways that it knows."""
    hub, dice = client.world.hub, client.dice
    assert hub is not None
    file = REPOSITORIES[name]
    at = dice.randrange(2_000_000)
    faults = [
        Fault(file, cut_after=at), Fault(file, end_after=at), Fault(file, flip=at), Fault(file, ignore_range=True),
        Fault(file, status=503, headers={"Retry-After": "1"}), Fault(at=API, status=429, headers={"Retry-After": "1"}),
        Fault(at=API, status=500), Fault(file, status=500, times=9),
    ]  # fmt: skip
    with hub.lock:
        hub.faults[:] = [fault for fault in hub.faults if fault.times > 0]
        del hub.requests[:-100]
        if len(hub.faults) < 3 and client.chance(0.5):
            hub.faults.append(dice.choice(faults))
    if client.chance(0.6):
        hold = hub.hold(file, after=at)
        asyncio.get_running_loop().call_later(dice.uniform(0.1, 6), hold.release)


async def steer(client: Client) -> str:
    """Pause, resume or cancel a download."""
    _, found = await client.whole(Ask(method="GET", path="/v1/downloads"))
    jobs = [one for one in found["data"] if one["state"] not in ("completed", "cancelled")]
    if not jobs:
        return "none"
    job = client.dice.choice(jobs)
    verb = client.dice.choice(["pause", "resume", "resume", "cancel"])
    ask = Ask(path=f"/v1/downloads/{job['id']}/{verb}", may=FETCHING | {(404, "download_not_found")})
    outcome, answer = await client.whole(ask)
    if answer and verb == "cancel" and answer["state"] != "cancelled":
        raise Wrong(f"cancelled, and it is {answer['state']}")
    return f"{verb}: {outcome}"


async def use_pulled(client: Client) -> str:
    """Ask a model that was fetched; it may have been deleted, or be on its way out."""
    await know_pulled(client)
    if not client.world.pulled:
        return "none"
    model = client.dice.choice(sorted(client.world.pulled))
    return await ask_model(client, model, stream=client.chance(0.5), may=GONE)


async def delete_pulled(client: Client) -> str:
    """Delete a model that was fetched, now and then while somebody asks it."""
    await know_pulled(client)
    if not client.world.pulled:
        return "none"
    model = client.dice.choice(sorted(client.world.pulled))
    delete = outcome_of(client, Ask(method="DELETE", path=f"/v1/models/{model}", may=GONE | BUSY))
    asked = [ask_model(client, model, may=GONE)] if client.chance(0.3) else []
    client.world.deleted = time.monotonic()
    found = await asyncio.gather(delete, *asked, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return "together: " * len(asked) + str(found[0])


async def outcome_of(client: Client, ask: Ask) -> str:
    """Ask, and of what comes back only how it ended."""
    return (await client.whole(ask))[0]


async def know_pulled(client: Client) -> None:
    """Which of them are here now."""
    _, found = await client.whole(Ask(method="GET", path="/v1/models"))
    here = [one for one in found["data"] if one["state"] not in ("downloading", "broken")]
    client.world.pulled = {one["id"] for one in here if one["id"] not in MODELS and "chat" in one["capabilities"]}
