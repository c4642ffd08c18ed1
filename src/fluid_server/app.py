"""create_app(config): the one place where everything meets."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from fluid_server import __version__, log
from fluid_server.api import errors, health, metrics, pages
from fluid_server.api.access_log import AccessLog
from fluid_server.api.auth import KeyCheck
from fluid_server.api.background import Background
from fluid_server.api.ephemeral import Secrets
from fluid_server.api.guard import Guard
from fluid_server.api.incoming import Incoming
from fluid_server.api.realtime_run import Sessions
from fluid_server.api.v1 import (
    audio,
    chat,
    completions,
    conversations,
    downloads,
    embeddings,
    events,
    models,
    realtime,
    responses,
    speech,
    stored_completions,
    tokens,
)
from fluid_server.config import ServerConfig, load_config
from fluid_server.log_file import opened
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.store.store import Store

LOOPBACK_ORIGIN = r"https?://(localhost|[\w-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?"
DESCRIPTION = "OpenAI's API on local models. Every failure has the shape `{error: {message, type, param, code}}`."


def create_app(config: ServerConfig | None = None) -> FastAPI:
    """The application; without a configuration, that of the environment (which ``--reload`` uses)."""
    if config is None:
        config = load_config()
        file = opened(config.log_file, config.log_file_size, config.log_file_count)
        log.set_up(config.log_level, config.log_format, file=file)
    manager = RuntimeManager(config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        # On Windows a file that is open cannot be deleted: what is left in spite of all tries goes with this folder.
        with tempfile.TemporaryDirectory(prefix="fluid-server-", ignore_cleanup_errors=True) as uploads:
            app.state.uploads = Path(uploads)
            async with _kept(config) as app.state.store:
                await manager.start()
                try:
                    yield
                finally:
                    await app.state.background.close()
                    await manager.close()

    app = FastAPI(
        title="Fluid Server",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.manager = manager
    app.state.background = Background()
    app.state.config = config
    app.state.sessions = Sessions()
    app.state.secrets = Secrets()
    app.state.incoming = Incoming()
    errors.install(app)
    for router in (
        chat.router, stored_completions.router, conversations.router, responses.router, completions.router,
        tokens.router, embeddings.router, audio.router, speech.router, realtime.router, downloads.router, models.router,
        events.router,
    ):  # fmt: skip
        app.include_router(router, prefix="/v1")
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.add_api_route("/", _root, include_in_schema=False)
    pages.install(app)
    _document(app, with_key=config.api_key is not None)
    _protect(app, config)
    return app


@asynccontextmanager
async def _kept(config: ServerConfig) -> AsyncGenerator[Store | None, None]:
    """What is kept, until the end; none where nothing is to be."""
    if not config.store:
        yield None
        return
    store = Store(config.database, ttl=config.store_ttl, max_bytes=config.store_max_size)
    store.start()
    try:
        yield store
    finally:
        await store.close()


def _protect(app: FastAPI, config: ServerConfig) -> None:
    """The layers around the routes, the innermost first."""
    if config.api_key is not None:
        app.add_middleware(KeyCheck, key=config.api_key.get_secret_value(), known=app.state.secrets.knows)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=config.allowed_origins,
        allow_origin_regex=LOOPBACK_ORIGIN,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Request-ID", "X-Download-ID", "Retry-After", "Location"],
    )
    app.add_middleware(Guard, config=config, incoming=app.state.incoming)
    app.add_middleware(AccessLog)


async def _root() -> dict[str, str]:
    return {
        "name": "Fluid Server",
        "version": __version__,
        "docs": "/docs",
        "health": "/health",
        "models": "/v1/models",
    }


def _document(app: FastAPI, *, with_key: bool) -> None:
    """OpenAPI without FastAPI's own validation shape, which this server never answers with, and with the key."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schema.get("components", {}).get("schemas", {}).pop(unused, None)
        if with_key:
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
