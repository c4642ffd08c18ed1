"""/v1/conversations: what was said, kept on the server under an id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from fluid_server.api import listing
from fluid_server.api.deps import Kept
from fluid_server.api.errors import documented
from fluid_server.api.schemas.conversations import (
    AddItems,
    ChangeMetadata,
    ConversationBody,
    ConversationDeleted,
    CreateConversation,
    ItemBody,
    ItemList,
    conversation_body,
    included,
    item_body,
    item_list,
)
from fluid_server.api.stored_items import resolved
from fluid_server.errors import InvalidRequest, NotStored, StoreFailed, StoreOff, TooLarge, Unauthorized
from fluid_server.store.records import Page, Paging

router = APIRouter(prefix="/conversations", tags=["conversations"])
MAKING = documented(InvalidRequest, Unauthorized, StoreOff, TooLarge, StoreFailed)
CHANGING = documented(InvalidRequest, Unauthorized, NotStored, StoreOff, TooLarge, StoreFailed)
READING = documented(InvalidRequest, Unauthorized, NotStored, StoreOff, StoreFailed)


async def _include(request: Request, include: Annotated[list[str] | None, Query()] = None) -> frozenset[str]:
    """What else is to be shown, as `include=…` or `include[]=…`, as often as wanted."""
    return included([*(include or ()), *request.query_params.getlist("include[]")])


Include = Annotated[frozenset[str], Depends(_include)]
Newest = Annotated[Paging, Depends(listing.newest_first)]


@router.post("", response_model=ConversationBody, responses=MAKING)
async def create_conversation(store: Kept, body: CreateConversation | None = None) -> ConversationBody:
    """Begin a conversation, with its first items if there are any."""
    asked = body or CreateConversation()
    items = await resolved(asked.items, "items", store)
    return conversation_body(await store.create_conversation(asked.metadata, items))


@router.get("/{conversation_id}", response_model=ConversationBody, responses=READING)
async def retrieve_conversation(conversation_id: str, store: Kept) -> ConversationBody:
    """A conversation without its items."""
    return conversation_body(await store.get_conversation(conversation_id))


@router.post("/{conversation_id}", response_model=ConversationBody, responses=CHANGING)
async def update_conversation(conversation_id: str, body: ChangeMetadata, store: Kept) -> ConversationBody:
    """Replace a conversation's metadata."""
    return conversation_body(await store.update_conversation(conversation_id, body.metadata or {}))


@router.delete("/{conversation_id}", response_model=ConversationDeleted, responses=READING)
async def delete_conversation(conversation_id: str, store: Kept) -> ConversationDeleted:
    """Forget a conversation and its items."""
    await store.delete_conversation(conversation_id)
    return ConversationDeleted(id=conversation_id)


@router.post("/{conversation_id}/items", response_model=ItemList, responses=CHANGING)
async def add_items(request: Request, conversation_id: str, body: AddItems, store: Kept, include: Include) -> ItemList:
    """Append items to a conversation; answers with them."""
    listing.only(request, "include")
    items = await resolved(body.items, "items", store)
    await store.add_items(conversation_id, items)
    return item_list(Page(tuple(items)), include)


@router.get("/{conversation_id}/items", response_model=ItemList, responses=READING)
async def list_items(request: Request, conversation_id: str, store: Kept, paging: Newest, include: Include) -> ItemList:
    """A part of a conversation's items, the newest first."""
    listing.only(request, "include", *listing.NAMES)
    return item_list(await store.list_items(conversation_id, paging), include)


@router.get("/{conversation_id}/items/{item_id}", response_model=ItemBody, responses=READING)
async def retrieve_item(
    request: Request, conversation_id: str, item_id: str, store: Kept, include: Include
) -> ItemBody:
    """One item of a conversation."""
    listing.only(request, "include")
    return item_body(await store.get_item(conversation_id, item_id), include)


@router.delete("/{conversation_id}/items/{item_id}", response_model=ConversationBody, responses=READING)
async def delete_item(conversation_id: str, item_id: str, store: Kept) -> ConversationBody:
    """Take an item out of a conversation; answers with the conversation."""
    return conversation_body(await store.delete_item(conversation_id, item_id))
