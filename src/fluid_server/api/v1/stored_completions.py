"""Chat completions that were asked to be stored: found again, labelled, forgotten."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from fluid_server.api import listing
from fluid_server.api.deps import Kept
from fluid_server.api.errors import documented
from fluid_server.api.schemas.answers import ChatCompletion
from fluid_server.api.schemas.conversations import (
    ChangeMetadata,
    CompletionDeleted,
    CompletionList,
    MessageList,
    completion_body,
    completion_list,
    message_list,
)
from fluid_server.errors import InvalidRequest, NotStored, StoreFailed, StoreOff, TooLarge, Unauthorized
from fluid_server.store.records import Paging

router = APIRouter(prefix="/chat/completions", tags=["stored completions"])
READING = documented(InvalidRequest, Unauthorized, NotStored, StoreOff, StoreFailed)
Oldest = Annotated[Paging, Depends(listing.oldest_first)]
PAIR = re.compile(r"metadata\[(.*)\]", re.DOTALL)
MAX_PAIRS = 16
LABELS = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "maxProperties": MAX_PAIRS, "additionalProperties": {"type": "string"}},
    "description": "only answers with these pairs in their metadata",
}


async def _metadata(request: Request) -> dict[str, str]:
    """The pairs of `metadata[key]=value` in a query. Errors: InvalidRequest."""
    pairs: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith("metadata"):
            match = PAIR.fullmatch(name)
            if match is None:
                raise InvalidRequest("Write it as 'metadata[key]=value'.", param="metadata")
            pairs[match[1]] = value
    if len(pairs) > MAX_PAIRS:
        raise InvalidRequest(f"'metadata' may hold at most {MAX_PAIRS} pairs.", param="metadata")
    return pairs


@router.get(
    "",
    response_model=CompletionList,
    responses=documented(InvalidRequest, Unauthorized, StoreOff, StoreFailed),
    openapi_extra={"parameters": [LABELS]},
)
async def list_completions(
    request: Request,
    store: Kept,
    paging: Oldest,
    metadata: Annotated[dict[str, str], Depends(_metadata)],
    model: Annotated[str | None, Query(description="only answers of this model, by its full id")] = None,
) -> JSONResponse:
    """Stored answers, the oldest first; `metadata[key]=value`, repeated, finds those that have all these pairs."""
    listing.only(request, "model", "metadata", *listing.NAMES)
    return JSONResponse(completion_list(await store.list_completions(paging, model=model, metadata=metadata)))


@router.get("/{completion_id}", response_model=ChatCompletion, responses=READING)
async def retrieve_completion(completion_id: str, store: Kept) -> JSONResponse:
    """A stored answer."""
    return JSONResponse(completion_body(await store.get_completion(completion_id)))


@router.post(
    "/{completion_id}",
    response_model=ChatCompletion,
    responses=documented(InvalidRequest, Unauthorized, NotStored, StoreOff, TooLarge, StoreFailed),
)
async def update_completion(completion_id: str, body: ChangeMetadata, store: Kept) -> JSONResponse:
    """Replace a stored answer's metadata."""
    return JSONResponse(completion_body(await store.update_completion(completion_id, body.metadata or {})))


@router.delete("/{completion_id}", response_model=CompletionDeleted, responses=READING)
async def delete_completion(completion_id: str, store: Kept) -> CompletionDeleted:
    """Forget a stored answer and the messages that it answers."""
    await store.delete_completion(completion_id)
    return CompletionDeleted(id=completion_id)


@router.get("/{completion_id}/messages", response_model=MessageList, responses=READING)
async def list_messages(request: Request, completion_id: str, store: Kept, paging: Oldest) -> MessageList:
    """The messages that a stored answer answers, the first first."""
    listing.only(request, *listing.NAMES)
    return message_list(await store.completion_messages(completion_id, paging))
