"""fluid-server load and unload: what a running server has in memory."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

from fluid_server.cli.client import Client, Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.ps import no_server
from fluid_server.cli.words import duration, size
from fluid_server.errors import FluidError, Unavailable


def load(place: Place, *, name: str, keep_alive: str | None, pin: bool | None, as_json: bool) -> int:
    """Load a model and wait for it."""
    wishes = {"keep_alive": keep_alive, "pin": pin}
    body = {wish: value for wish, value in wishes.items() if value is not None}
    model = asyncio.run(_load(place, name, body))
    _print(model, _ready(model), as_json=as_json)
    return 0


def unload(place: Place, *, name: str, as_json: bool) -> int:
    """Let a model go."""
    model = asyncio.run(_unload(place, name))
    _print(model, f"{model['id']} is no longer in memory.", as_json=as_json)
    return 0


async def _unload(place: Place, name: str) -> Json:
    async with the_server(place) as server:
        return await server.unload(name)


async def _load(place: Place, name: str, body: Json) -> Json:
    async with the_server(place) as server:
        try:
            return await _shown(server, name, body)
        except asyncio.CancelledError:  # Ctrl-C
            again = f"fluid-server unload {name}{place.flags}"
            print(f"The server goes on loading. To end that: {again}", file=sys.stderr)
            raise


async def _shown(server: Client, name: str, body: Json) -> Json:
    """Wait for it; a terminal is told what goes on."""
    if not sys.stderr.isatty():
        return await server.load(name, body)
    with _status(f"Loading {name}") as say:
        return await loaded(server, name, body, say)


async def loaded(server: Client, name: str, body: Json, say: Callable[[str], None]) -> Json:
    """Load a model and wait for it; ``say`` is called with what goes on meanwhile."""
    telling = asyncio.create_task(_tell(server, name, say))
    try:
        return await server.load(name, body)
    finally:
        telling.cancel()
        await asyncio.wait((telling,))


@asynccontextmanager
async def the_server(place: Place) -> AsyncGenerator[Client, None]:
    """The server, which there must be. Errors: Unavailable."""
    async with server_of(place) as server:
        if server is None:
            raise Unavailable(no_server(place))
        yield server


@contextmanager
def _status(text: str) -> Generator[Callable[[str], None], None, None]:
    """A line on the terminal that turns while something goes on, and can be told what."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(f"{text} …"), spinner="line") as status:
        yield lambda doing: status.update(Text(f"{text}: {doing}"))


async def _tell(server: Client, name: str, say: Callable[[str], None]) -> None:
    """What the server says of the load, as far as it does."""
    names = {name}
    with suppress(FluidError):
        async for event in server.events():
            for model in event.get("models", ()):
                if name in (model["id"], *model["aliases"]):
                    names.add(model["id"])
            if (doing := _doing(event, names)) is not None:
                say(doing)


def _doing(event: Json, names: set[str]) -> str | None:
    """What an event says of the model that is waited for."""
    if event["type"] == "model.evicted" and event["for"] in names:
        return f"{event['model']} makes room"
    if event.get("model") not in names:
        return None
    if event["type"] == "model.state":
        return str(event["state"])
    if event["type"] == "model.progress":
        done = "" if event["fraction"] is None else f" {event['fraction']:.0%}"
        return f"{event['text']}{done}"
    return None


def _print(model: Json, text: str, *, as_json: bool) -> None:
    print(json.dumps(model, indent=2, ensure_ascii=False) if as_json else text)


def _ready(model: Json) -> str:
    """How it runs, and how long it stays."""
    if model["pinned"]:
        stays = "It is pinned: it stays until it is told to go"
    elif model["keep_alive"] is None:
        stays = "It stays for ever"
    else:
        stays = f"It stays for {duration(model['keep_alive'])} after its last request"
    context = f", context {model['context_length']}" if model["context_length"] else ""
    notes = "".join(f"\n  {note}" for note in model["notes"])
    where = f"{model['runtime']} on {model['device']}, {size(model['memory_bytes'])}{context}"
    return f"{model['id']} is ready: {where}. {stays}.{notes}"
