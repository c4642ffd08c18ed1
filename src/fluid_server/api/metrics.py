"""GET /metrics, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from fluid_server.api.deps import Manager
from fluid_server.api.errors import documented
from fluid_server.errors import Unauthorized
from fluid_server.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented(Unauthorized) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(manager: Manager) -> Response:
    """Requests, queues, latencies, tokens, loads, memory and downloads in Prometheus' text format."""
    return Response(await manager.metrics.text(), media_type=CONTENT_TYPE)
