"""POST /v1/embeddings."""

from __future__ import annotations

from contextlib import aclosing

from fastapi import APIRouter, Request, Response

from fluid_server.api.deps import Manager, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.schemas.embeddings import EmbeddingBody, EmbeddingList, listed, written
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, Done, Embedded, Usage

router = APIRouter(tags=["embeddings"])


@router.post("/embeddings", response_model=EmbeddingList, responses=documented())
async def create_embeddings(request: Request, body: EmbeddingBody, manager: Manager, visit: Visit) -> Response:
    """Turn texts into vectors that are near each other where the texts mean the like."""
    visitor = expect(visit, end_user=body.user or "", keep_alive=body.keep_alive)
    answer = await unless_gone(request, _whole(manager, body, visitor))
    return Response(answer, media_type="application/json")


async def _whole(manager: RuntimeManager, body: EmbeddingBody, visitor: Visitor) -> bytes:
    asked = body.as_request()
    objects = [b""] * len(asked.inputs)
    usage = Usage()
    async with (
        manager.lease(body.model, Ability.EMBEDDING, visitor=visitor) as lease,
        aclosing(lease.run(asked)) as batches,
    ):
        async for events in batches:
            for event in events:
                if isinstance(event, Embedded):
                    objects[event.index] = written(event, body.encoding_format)
                elif isinstance(event, Done):
                    usage = event.usage
        return listed(objects, lease.spec.id, usage)
