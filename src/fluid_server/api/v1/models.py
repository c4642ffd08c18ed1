"""/v1/models: what there is, and bringing it into memory, out of it and off the disk."""

from __future__ import annotations

from fastapi import APIRouter, Request

from fluid_server.api.deps import Manager, Visit, expect, unless_gone
from fluid_server.api.described import arriving, model_body
from fluid_server.api.errors import documented
from fluid_server.api.schemas.models import LoadBody, PinBody
from fluid_server.api.schemas.states import ModelBody, ModelDeleted, ModelList
from fluid_server.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    OutOfMemory,
    Unauthorized,
    Unavailable,
)

router = APIRouter(prefix="/models", tags=["models"])
NAMED = (InvalidRequest, Unauthorized, ModelNotFound)


@router.get("", response_model=ModelList, responses=documented(Unauthorized))
async def list_models(manager: Manager) -> ModelList:
    """All models of the models folder: the loaded, the absent, the broken with their reasons, those on their way."""
    specs = await manager.library.listed()
    here = [model_body(manager, spec) for spec in (*specs, *manager.vanished(specs))]
    return ModelList(data=[*here, *arriving(manager, specs)])


@router.get("/{model:path}", response_model=ModelBody, responses=documented(Unauthorized, ModelNotFound))
async def retrieve_model(model: str, manager: Manager) -> ModelBody:
    """One model by its id or an alias."""
    on_its_way = [one for one in arriving(manager, await manager.library.specs()) if one.id == model]
    return on_its_way[0] if on_its_way else model_body(manager, await manager.library.describe(model))


@router.post(
    "/{model:path}/load",
    response_model=ModelBody,
    responses=documented(*NAMED, Unavailable, OutOfMemory, DeadlineExceeded),
)
async def load_model(
    request: Request, model: str, manager: Manager, visit: Visit, body: LoadBody | None = None
) -> ModelBody:
    """Load a model into memory; answers when it is ready. A load goes on when the client leaves."""
    asked = body or LoadBody()
    visitor = expect(visit, keep_alive=asked.keep_alive)
    spec = await unless_gone(request, manager.load(model, visitor, pin=asked.pin))
    return model_body(manager, spec)


@router.post("/{model:path}/unload", response_model=ModelBody, responses=documented(*NAMED, Conflict))
async def unload_model(model: str, manager: Manager) -> ModelBody:
    """Let a model go from memory now. A model in use is a 409; one that failed may be tried again at once."""
    return model_body(manager, await manager.unload(model))


@router.post("/{model:path}/pin", response_model=ModelBody, responses=documented(*NAMED))
async def pin_model(model: str, manager: Manager, body: PinBody | None = None) -> ModelBody:
    """Keep a model in memory once it is loaded: it goes neither when idle nor for another (`pinned: false` ends it)."""
    return model_body(manager, await manager.pin(model, pinned=body.pinned if body else True))


@router.delete("/{model:path}", response_model=ModelDeleted, responses=documented(*NAMED, Conflict))
async def delete_model(model: str, manager: Manager) -> ModelDeleted:
    """Remove a model from the disk. A model in use is a 409."""
    return ModelDeleted(id=(await manager.delete(model)).id)
