"""Lists in pages, as OpenAI has them: which part a query asks for, and unknown parameters refused by name."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request

from fluid_server.errors import InvalidRequest
from fluid_server.store.records import Paging

Order = Literal["asc", "desc"]
Limit = Annotated[int, Query(ge=1, le=100, description="how many at most")]
After = Annotated[str | None, Query(min_length=1, max_length=128, description="the id behind which to go on")]
OldestFirst = Annotated[Order, Query(description="by age: `asc` is the oldest first")]
NAMES = frozenset({"after", "limit", "order"})
SHOWN = 80  # characters of a name that a client made up


async def newest_first(request: Request, limit: Limit = 20, order: OldestFirst = "desc", after: After = None) -> Paging:
    """The part of a list that a query wants."""
    return Paging(after, limit, order)


async def oldest_first(request: Request, limit: Limit = 20, order: OldestFirst = "asc", after: After = None) -> Paging:
    """The part of a list that a query wants, where OpenAI begins with the oldest."""
    return Paging(after, limit, order)


def only(request: Request, *names: str) -> None:
    """Refuse what a query holds besides. Errors: InvalidRequest naming it."""
    for name in request.query_params:
        if name.removesuffix("[]").partition("[")[0] not in names:
            shown = name[:SHOWN]
            raise InvalidRequest(f"Unknown parameter: '{shown}'.", param=shown, code="unknown_parameter")
