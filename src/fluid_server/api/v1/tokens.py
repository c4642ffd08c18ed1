"""POST /v1/tokenize and /v1/detokenize."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from fluid_server.api.deps import Manager, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.naming import named_as
from fluid_server.api.schemas.answers import Detokenized, Tokens
from fluid_server.api.schemas.tokens import DetokenizeBody, TokenizeBody
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, Tokenized, TokenizeRequest

router = APIRouter(tags=["tokens"])


@router.post("/tokenize", response_model=Tokens, responses=documented())
async def tokenize(request: Request, body: TokenizeBody, manager: Manager, visit: Visit) -> Any:
    """Count and list the tokens of a text, or of a chat with its tools, as the model would get them."""
    visitor = expect(visit, keep_alive=body.keep_alive)
    model, answer = await unless_gone(request, _ask(manager, body.model, body.as_request(), visitor))
    return Tokens(
        model=model,
        tokens=list(answer.ids),
        count=len(answer.ids),
        context_length=answer.context_length,
        pieces=list(answer.pieces) if body.pieces else None,
    )


@router.post("/detokenize", response_model=Detokenized, responses=documented())
async def detokenize(request: Request, body: DetokenizeBody, manager: Manager, visit: Visit) -> Any:
    """The text of token ids, special tokens included."""
    visitor = expect(visit, keep_alive=body.keep_alive)
    with named_as({"prompt": "tokens"}):
        model, answer = await unless_gone(request, _ask(manager, body.model, body.as_request(), visitor))
    return Detokenized(model=model, text=answer.text)


async def _ask(
    manager: RuntimeManager, model: str, question: TokenizeRequest, visitor: Visitor
) -> tuple[str, Tokenized]:
    async with (
        manager.lease(model, Ability.COMPLETION, visitor=visitor) as lease,
        aclosing(lease.run(question)) as found,
    ):
        async for events in found:
            for event in events:
                if isinstance(event, Tokenized):
                    return lease.spec.id, event
    raise AssertionError("a worker ended a question without an answer or a failure")
