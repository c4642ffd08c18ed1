"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from fastapi import APIRouter

from fluid_server.api.deps import Manager
from fluid_server.api.errors import documented
from fluid_server.api.schemas.answers import ModelBody, ModelList
from fluid_server.errors import ModelNotFound, Unauthorized
from fluid_server.managers.memory import memory_of
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.types import ModelSpec

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", response_model=ModelList, responses=documented(Unauthorized))
async def list_models(manager: Manager) -> ModelList:
    """All models of the models folder: the loaded, the absent, and the broken with their reasons."""
    return ModelList(data=[describe(manager, spec) for spec in await manager.library.specs()])


@router.get("/{model:path}", response_model=ModelBody, responses=documented(Unauthorized, ModelNotFound))
async def retrieve_model(model: str, manager: Manager) -> ModelBody:
    """One model by its id or an alias."""
    return describe(manager, await manager.library.describe(model))


def describe(manager: RuntimeManager, spec: ModelSpec) -> ModelBody:
    """A model as clients see it."""
    slot = manager.slot(spec.id)
    info = slot.info if slot else None
    failure = slot.failure.message if slot and slot.failure else None
    return ModelBody(
        id=spec.id,
        created=int(spec.modified),
        aliases=list(spec.aliases),
        kind=spec.kind,
        format=spec.format,
        abilities=sorted(spec.abilities),
        state="broken" if spec.problem else (slot.state if slot else "absent"),
        problem=spec.problem or failure,
        runtime=info.runtime if info else None,
        device=info.device if info else None,
        context_length=(info.context_length if info else None) or spec.context_length,
        quantization=spec.quantization,
        architecture=spec.architecture,
        size_bytes=spec.size_bytes,
        memory_bytes=memory_of(slot) if slot else 0,
        notes=[*(slot.notes if slot else []), *(info.notes if info else ())],
    )
