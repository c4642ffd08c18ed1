"""Items of a request as they are kept: what it refers to by id is looked up in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluid_server.api.deps import needed
from fluid_server.api.schemas.responses_items import Item, ItemReference, kept_items
from fluid_server.errors import InvalidRequest
from fluid_server.store.store import Store


async def resolved(given: str | Sequence[Any] | None, field: str, store: Store | None) -> list[Item]:
    """The items with what they refer to in place of the references. Errors: InvalidRequest for what is not kept."""
    items = kept_items(given, field)
    ids = [item.id for item in items if isinstance(item, ItemReference)]
    found = await needed(store, field).find_items(ids) if ids else {}
    for index, item in enumerate(items):
        if isinstance(item, ItemReference) and item.id not in found:
            raise InvalidRequest(f"Item with id '{item.id}' not found.", param=f"{field}[{index}].id")
    return [dict(found[item.id]) if isinstance(item, ItemReference) else item for item in items]
