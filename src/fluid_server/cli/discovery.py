"""Which server does a verb speak to, if to any?"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from fluid_server.cli.announcement import address_of, running_in
from fluid_server.cli.client import Client
from fluid_server.config import ServerConfig, is_loopback
from fluid_server.errors import ConfigError, Unavailable


@dataclass(frozen=True, slots=True)
class Place:
    """Where a verb works: the settings, whether somebody typed which server is meant, and which folders they typed."""

    config: ServerConfig
    server_typed: bool = False
    folders_typed: tuple[str, ...] = ()

    @property
    def flags(self) -> str:
        """What was typed to say where, to be typed again."""
        folders = {name: getattr(self.config, name) for name in self.folders_typed}
        text = "".join(f" --{name.replace('_', '-')} {quoted(folder)}" for name, folder in folders.items())
        return text + (f" --host {self.config.host} --port {self.config.port}" if self.server_typed else "")

    @property
    def address(self) -> str:
        """Where a server with these settings listens."""
        return address_of(self.config.host, self.config.port)


def quoted(path: Path) -> str:
    """A path that every shell takes for one word."""
    return f'"{path}"' if " " in str(path) else str(path)


@asynccontextmanager
async def server_of(place: Place) -> AsyncGenerator[Client | None, None]:
    """The server that was typed, else the folder's, else the one at the configured host and port.

    None: nobody is there, and a verb works on the folder itself. Errors: Unavailable where the server that was typed,
    or the folder's, does not answer; ConfigError for one that is not on this machine.
    """
    client = await _found(place)
    try:
        yield client
    finally:
        if client is not None:
            await client.close()


async def _found(place: Place) -> Client | None:
    config = place.config
    if place.server_typed:
        return await _typed(config)
    if client := await _announced(config):
        return client
    if place.folders_typed or not config.port:
        return None
    with suppress(Unavailable):  # whoever is silent there is no server of this folder
        client = await _try(address_of(config.host, config.port), config)
    if client is not None:
        print(f"Asking the server at {client.url}.", file=sys.stderr)
    return client


async def _announced(config: ServerConfig) -> Client | None:
    """The folder's server. One that lives and is only slow still has the folder, so nobody else may work on it."""
    for told in chain.from_iterable(map(running_in, config.meeting_places)):
        try:
            client = await _try(told.url, config)
        except Unavailable as error:
            raise Unavailable(
                f"The server at {told.url} (process {told.pid}) does not answer. End it, or wait."
            ) from error
        if client is not None:
            return client
    return None


async def _typed(config: ServerConfig) -> Client:
    check_host(config.host)
    url = address_of(config.host, config.port)
    client = await _try(url, config)
    if client is None:
        raise Unavailable(
            f"No Fluid Server answers at {url}. Start one with 'fluid-server', or leave --host and --port out."
        )
    return client


def check_host(host: str) -> None:
    """Errors: ConfigError for another machine's."""
    if not is_own(address_of(host, 0)):
        raise ConfigError(
            f"'{host}' is not this machine, and only servers of this machine are spoken to.", param="host"
        )


def client_of(url: str, config: ServerConfig) -> Client:
    """A client of a server that was found. Open it with ``async with``."""
    return Client(url, config.api_key.get_secret_value() if config.api_key else None)


async def _try(url: str, config: ServerConfig) -> Client | None:
    """A client of the server there, once it has said what it is. No other machine is told the key."""
    if not is_own(url):
        return None
    client = client_of(url, config)
    found = False
    try:
        found = await client.is_fluid_server()
    finally:
        if not found:
            await client.close()
    return client if found else None


def is_own(url: str) -> bool:
    """Whether a URL leads to this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or any(
        host == entry.address for entries in psutil.net_if_addrs().values() for entry in entries
    )
