"""/docs and /redoc: the API's description as pages, from files that travel with the program."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).resolve().parents[1] / "web"
TITLE = "Fluid Server"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def swagger() -> HTMLResponse:
    """The API to try out."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=TITLE,
        swagger_js_url="/web/vendor/swagger-ui-bundle.js",
        swagger_css_url="/web/vendor/swagger-ui.css",
        swagger_favicon_url="/web/icon.svg",
    )


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """The API to read."""
    return get_redoc_html(
        openapi_url="/openapi.json",
        title=TITLE,
        redoc_js_url="/web/vendor/redoc.standalone.js",
        redoc_favicon_url="/web/icon.svg",
        with_google_fonts=False,
    )


def install(app: FastAPI) -> None:
    """Serve the pages and their files."""
    app.include_router(router)
    app.mount("/web", StaticFiles(directory=WEB), name="web")
