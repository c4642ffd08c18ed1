"""Whom to measure: a server of ours with its model loaded, or any other by its address; and the first requests."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from fluid_server.cli.bench_prompts import CHAT, COMPLETION, Ask, Prompts, words_for
from fluid_server.cli.bench_run import EMPTY, failure_of
from fluid_server.cli.bench_wire import Address, Connection, Exchange, address_at
from fluid_server.cli.client import NAME, Json
from fluid_server.cli.discovery import Place
from fluid_server.cli.load import loaded, the_server
from fluid_server.errors import ContextTooLong, FluidError, ModelNotFound, Unauthorized, Unavailable

KEPT = (  # of what a server of ours says of its model
    "id", "format", "quantization", "architecture", "size_bytes", "runtime", "device", "context_length", "memory_bytes"
)  # fmt: skip
FEW_WORDS, MANY_WORDS = 16, 144  # of the two prompts from which the length of a word in tokens follows
UNTAKEN = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person wants to be asked, whoever is asked."""

    model: str
    prompt_tokens: int
    max_tokens: int
    completions: bool
    shared_prefix: bool
    ignore_eos: bool | None  # None: where the server is known to take it
    seed: int | None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Where, how it is asked, and what is known of it: ``server`` and ``model`` go into the record."""

    address: Address
    ask: Ask
    prompts: Prompts
    server: Json
    model: Json
    counts: bool  # whether it says how many tokens an answer has


@asynccontextmanager
async def target_of(
    place: Place, wish: Wish, base_url: str | None, silence: float, say: Callable[[str], None]
) -> AsyncGenerator[Target, None]:
    """The one to measure, warm. Errors: why there is none, or why it does not answer as it must."""
    key = place.config.api_key.get_secret_value() if place.config.api_key else None
    path = COMPLETION if wish.completions else CHAT
    ask = Ask(wish.model, wish.max_tokens, path, ignore_eos=bool(wish.ignore_eos), extra=wish.extra)
    if base_url is not None:
        address = address_at(base_url, key)
        yield await _warm(address, ask, wish, silence, say)
        return
    async with the_server(place) as server:
        say("loading")
        model = await loaded(server, wish.model, {}, say) if sys.stderr.isatty() else await server.load(wish.model, {})
        _check(model, wish)
        address = address_at(f"{server.url}/v1", key)
        ours = replace(ask, model=model["id"], ignore_eos=wish.ignore_eos is not False)
        warm = await _warm(address, ours, wish, silence, say)
        told = {**warm.server, "name": NAME, "version": await server.version()}
        yield replace(warm, server=told, model={name: model[name] for name in KEPT})


def _check(model: Json, wish: Wish) -> None:
    """Errors: ContextTooLong where prompt and answer cannot fit."""
    context, needed = model["context_length"], wish.prompt_tokens + wish.max_tokens
    if context and needed > context:
        raise ContextTooLong(
            f"{model['id']} has a context of {context} tokens; --prompt-tokens {wish.prompt_tokens} and --max-tokens "
            f"{wish.max_tokens} take {needed}. Ask for less.",
            param="prompt_tokens",
        )


async def _warm(address: Address, ask: Ask, wish: Wish, silence: float, say: Callable[[str], None]) -> Target:
    """Find out how it wants to be asked and how long a word is in tokens; then one request like those to come."""
    seed = secrets.randbelow(10**9) if wish.seed is None else wish.seed
    few, many = FEW_WORDS, max(2 * FEW_WORDS, min(MANY_WORDS, wish.prompt_tokens))
    connection = Connection(address, silence)
    try:
        say("asking for the first time")
        ask, first = await _understood(connection, ask, Prompts(few, seed))
        counted = {few: usage.prompt} if (usage := first.reading.usage) and usage.prompt else {}
        if counted:
            second = await _asked(connection, ask, Prompts(many, seed), 1)
            counted |= {many: usage.prompt} if (usage := second.reading.usage) else {}
        prompts = Prompts(words_for(wish.prompt_tokens, counted), seed, wish.shared_prefix)
        say("warming up")
        warm = await _asked(connection, ask, prompts, None)
    finally:
        connection.close()
    server = {"url": address.url, "server_header": warm.headers.get("server")}
    counts = warm.reading.usage is not None
    return Target(address, ask, prompts, server, {"id": ask.model}, counts)


async def _understood(connection: Connection, ask: Ask, prompts: Prompts) -> tuple[Ask, Exchange]:
    """The first answer, asked for in words that this server takes. Errors: why it gives none."""
    exchange = await _sent(connection, ask, prompts, 1)
    _, message = exchange.refusal if exchange.status in UNTAKEN else (None, "")
    if "stream_options" in message and ask.usage:
        return await _understood(connection, replace(ask, usage=False), prompts)
    if "max_completion_tokens" in message and ask.limit == "max_tokens":
        return await _understood(connection, replace(ask, limit="max_completion_tokens"), prompts)
    return ask, _answered(connection.address, ask, exchange, may_be_empty=True)


async def _asked(connection: Connection, ask: Ask, prompts: Prompts, max_tokens: int | None) -> Exchange:
    """One answer that is not counted. Errors: what went wrong, in words."""
    exchange = await _sent(connection, ask, prompts, max_tokens)
    return _answered(connection.address, ask, exchange, may_be_empty=max_tokens is not None)


async def _sent(connection: Connection, ask: Ask, prompts: Prompts, max_tokens: int | None) -> Exchange:
    exchange = Exchange()
    await connection.post(ask.path, ask.body(prompts.prompt(f"warm/{prompts.words}"), max_tokens), exchange)
    return exchange


def _answered(address: Address, ask: Ask, exchange: Exchange, *, may_be_empty: bool) -> Exchange:
    """An answer that is one. A single token may be no text yet: half of a character, or the end."""
    kind = failure_of(exchange)
    if kind is None or (kind == EMPTY and may_be_empty):
        return exchange
    raise _why(address, ask, exchange, kind)


def _why(address: Address, ask: Ask, exchange: Exchange, kind: str) -> FluidError:
    if exchange.failure is not None:
        hint = "Is it running, and is that its address?" if not exchange.status else "Its log may say why."
        return Unavailable(f"The server at {address.url} gave no answer: {kind}. {hint}")
    code, message = exchange.refusal
    match exchange.status:
        case HTTPStatus.OK:
            return Unavailable(f"The server at {address.url} gave an answer that cannot be measured: {kind}.")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            wrong = "does not take the API key" if address.key else "wants an API key"
            return Unauthorized(f"The server at {address.url} {wrong}: {message} Set FLUID_API_KEY, or use --api-key.")
        case HTTPStatus.NOT_FOUND:
            return ModelNotFound(
                f"The server at {address.url} has no model '{ask.model}', or nothing at {address.path}{ask.path}: "
                f"{message}",
                param="model",
            )
    return FluidError(
        f"The server at {address.url} refused the first request with {exchange.status}: {message}", code=code
    )
