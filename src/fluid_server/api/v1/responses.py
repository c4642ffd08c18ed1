"""/v1/responses: the Responses API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from fluid_server import errors
from fluid_server.api import sse
from fluid_server.api.background import Backgrounds, Recording
from fluid_server.api.deps import Config, Kept, KeptIfAny, Manager, Visit, expect, unless_gone
from fluid_server.api.errors import DESCRIPTIONS, documented
from fluid_server.api.listing import NAMES, newest_first, only
from fluid_server.api.response_run import UNFINISHED, Context, Run, context_of, count_tokens, in_our_names
from fluid_server.api.schemas.responses import InputTokensBody, ResponseBody, check_includes
from fluid_server.api.schemas.responses_answer import (
    InputTokens,
    ResponseDeleted,
    ResponseItems,
    ResponseObject,
    listed,
)
from fluid_server.config import ServerConfig
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.store.records import Paging
from fluid_server.store.store import Store
from fluid_server.types import Ability

router = APIRouter(prefix="/responses", tags=["responses"])
Includes = Annotated[list[str] | None, Query(alias="include[]", description="what was included when it was made")]
LOST = {
    "code": "server_error",
    "message": "The server that worked on this response ended before it was complete. Send the request again.",
}
STORED = (errors.NotStored, errors.StoreOff, errors.StoreFailed)
GENERATES = documented(*DESCRIPTIONS, *STORED)
READS = documented(errors.InvalidRequest, errors.Unauthorized, errors.Forbidden, *STORED)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a stored response is wanted: as it stands, or as the events that are told of it."""

    stream: bool = False
    starting_after: int | None = None


async def _wish(
    request: Request,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    include: Includes = None,
    include_obfuscation: Annotated[bool | None, Query(description="accepted; nothing is padded")] = None,
) -> Wish:
    only(request, "stream", "starting_after", "include", "include_obfuscation")
    check_includes(include or ())
    if starting_after is not None and not stream:
        raise InvalidRequest("'starting_after' is only allowed when 'stream' is true.", param="starting_after")
    return Wish(stream, starting_after)


@router.post(
    "", response_model=ResponseObject, response_model_exclude_unset=True, responses=GENERATES | sse.described()
)
async def create_response(
    request: Request,
    body: ResponseBody,
    manager: Manager,
    config: Config,
    visit: Visit,
    store: KeptIfAny,
    background: Backgrounds,
) -> Any:
    """Answer a text, a list of items or what is stored: whole, as typed server-sent events, or in the background."""
    visitor = expect(visit, end_user=body.end_user, keep_alive=body.keep_alive, waits=bool(body.stream))
    run = await Run(body, await context_of(body, store), manager, visitor, store).prepared()
    if body.background:
        recording = await background.begin(run)
        return await _watched(request, recording, None, config) if body.stream else run.response
    if not body.stream:
        return await unless_gone(request, run.whole())
    ending = sse.Ending(b"", run.failed_frames)
    return await sse.respond(request, run.frames(), heartbeat=config.heartbeat, activity=visitor.says, ending=ending)


@router.post("/input_tokens", response_model=InputTokens, responses=GENERATES)
async def count_input_tokens(
    request: Request, body: InputTokensBody, manager: Manager, visit: Visit, store: KeptIfAny
) -> Any:
    """Count the tokens of what a request would send to the model, tools and earlier turns included."""
    visitor = expect(visit, keep_alive=body.keep_alive)
    context = await context_of(body, store)
    return InputTokens(input_tokens=await unless_gone(request, _counted(manager, body, context, visitor)))


async def _counted(manager: RuntimeManager, body: InputTokensBody, context: Context, visitor: Visitor) -> int:
    with in_our_names():
        async with manager.lease(body.model, Ability.CHAT, 1, visitor) as lease:
            return await count_tokens(lease, body.as_prompt(context.messages))


@router.post("/compact", responses=documented(errors.InvalidRequest, errors.Unauthorized, errors.Forbidden))
async def compact_response() -> None:
    """Always refused: a local model's summary would stand for a conversation that it may not have understood."""
    raise UnsupportedField(
        "Conversations are not compacted by this server. Send 'truncation': 'auto' with the next response, and what "
        "does not fit into the model's context is left out, the oldest first."
    )


@router.get(
    "/{response_id}",
    response_model=ResponseObject,
    response_model_exclude_unset=True,
    responses=READS | sse.described(),
)
async def retrieve_response(
    request: Request,
    response_id: str,
    store: Kept,
    background: Backgrounds,
    config: Config,
    wish: Annotated[Wish, Depends(_wish)],
) -> Any:
    """A stored response; with `stream`, the events of one in the background, those to come included.

    `starting_after` leaves out the events up to that sequence number: a stream that broke off goes on from there.
    """
    recording = background.find(response_id)
    if wish.stream:
        recording = recording or await _not_watchable(store, response_id)
        return await _watched(request, recording, wish.starting_after, config)
    if recording is not None:
        return recording.response
    return await _kept(store, response_id)


@router.delete("/{response_id}", response_model=ResponseDeleted, responses=READS)
async def delete_response(response_id: str, store: Kept, background: Backgrounds) -> Any:
    """Forget a response; one in the background ends."""
    await background.forget(response_id)
    await store.delete_response(response_id)
    return ResponseDeleted(id=response_id)


@router.post("/{response_id}/cancel", response_model=ResponseObject, response_model_exclude_unset=True, responses=READS)
async def cancel_response(response_id: str, store: Kept, background: Backgrounds) -> Any:
    """End a response in the background; one that has ended stays as it is."""
    cancelled = await background.cancel(response_id)
    if cancelled is not None:
        return cancelled
    kept = await _kept(store, response_id)
    if not kept["background"]:
        raise InvalidRequest(
            "Only a response that was created with 'background' can be cancelled. To cancel another one, close its "
            "connection.",
            param="response_id",
        )
    return kept


@router.get("/{response_id}/input_items", response_model=ResponseItems, responses=READS)
async def list_input_items(
    request: Request,
    response_id: str,
    store: Kept,
    paging: Annotated[Paging, Depends(newest_first)],
    include: Includes = None,
) -> Any:
    """The items that a response was given itself, without those that it goes on from."""
    only(request, *NAMES, "include")
    check_includes(include or ())
    page = await store.input_items(response_id, paging)
    return listed(page.data, more=page.more)


async def _watched(request: Request, recording: Recording, after: int | None, config: ServerConfig) -> Any:
    """A stream of what is told of a response in the background. Who leaves it ends nothing but the stream."""
    return await sse.respond(
        request,
        recording.replay(after),
        heartbeat=config.heartbeat,
        activity=recording.visitor.says,
        ending=sse.Ending(b""),
    )


async def _not_watchable(store: Store, response_id: str) -> Recording:
    """Errors: NotStored for one that there is not, InvalidRequest for one whose events are not here."""
    await store.get_response(response_id)
    raise InvalidRequest(
        "The events of this response are not here (any more): only those of a response in the background can be told "
        "again, and not for ever. Fetch it without 'stream'.",
        param="stream",
    )


async def _kept(store: Store, response_id: str) -> dict[str, Any]:
    """A stored response. One that nobody works on any more, though it is unfinished, has failed."""
    body = dict((await store.get_response(response_id)).body)
    return {**body, "status": "failed", "error": LOST} if body["status"] in UNFINISHED else body
