"""Failures as OpenAI writes them, in one shape for every path. The only place that knows their status codes."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fluid_server import errors
from fluid_server.api.schemas.answers import ErrorBody
from fluid_server.errors import FluidError, InvalidRequest

logger = logging.getLogger(__name__)
FAILED = int(HTTPStatus.INTERNAL_SERVER_ERROR)
CLIENT_CLOSED_REQUEST = 499  # nginx's number; only ever seen in a log

STATUS: dict[type[FluidError], int] = {
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.AbilityMissing: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.QueueFull: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutOfMemory: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.OutOfDisk: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.RepositoryNotFound: HTTPStatus.NOT_FOUND,
    errors.RepositoryGated: HTTPStatus.FORBIDDEN,
    errors.HubTokenRejected: HTTPStatus.FORBIDDEN,  # not 401: the client's key for this server is right
    errors.Offline: HTTPStatus.CONFLICT,
    errors.HubError: HTTPStatus.BAD_GATEWAY,
    errors.DownloadNotFound: HTTPStatus.NOT_FOUND,
    errors.StoreOff: HTTPStatus.CONFLICT,
    errors.NotStored: HTTPStatus.NOT_FOUND,
    errors.StoreFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ClientGone: CLIENT_CLOSED_REQUEST,
    errors.FluidError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
UNTIL_SOMETHING_CHANGES = (  # the same request would fail the same way
    errors.ModelFailed, errors.OutOfMemory, errors.OutOfDisk, errors.Conflict, errors.DeadlineExceeded, errors.HubError,
    errors.StoreFailed,
)  # fmt: skip
TYPE_NAMES = {"str", "int", "float", "bool", "list", "dict"}  # members of unions, as pydantic names them
PARTS = frozenset({"input_text", "output_text", "summary_text", "reasoning_text", "refusal", "text"})
ITEMS = frozenset({"message", "function_call", "custom_tool_call", "call_output", "reasoning", "item_reference"})
# What tells the members of a union apart, by the field that holds them: pydantic puts it into an error's place.
TAGS: dict[str, frozenset[str]] = {
    "conversation": frozenset({"ConversationId"}),
    "content": frozenset({"text", "refusal", "image_url", "input_audio", "file", "video_url"}) | PARTS,
    "format": frozenset({"text", "json_object", "json_schema", "grammar"}),
    "input": ITEMS,
    "items": ITEMS,
    "output": PARTS,
    "tools": frozenset({"function", "custom"}),
    "voice": frozenset({"VoiceId"}),
    "tool_choice": frozenset({"function", "custom", "allowed_tools"}),
    "response_format": frozenset({"text", "json_object", "json_schema"}),
}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


DESCRIPTIONS: dict[type[FluidError], str] = {
    errors.InvalidRequest: "A field is missing, wrong or not supported: `param` names it",
    errors.Unauthorized: "No API key, or a wrong one (if the server has one)",
    errors.Forbidden: "A web origin or host name that is not let in",
    errors.ModelNotFound: "No model of that name",
    errors.TooLarge: "The body or the upload is too large",
    errors.QueueFull: "Too many requests wait for this model; see Retry-After",
    errors.FluidError: "The runtime failed",
    errors.Unavailable: "The model did not load, is not ready, or the server is ending; see Retry-After",
    errors.OutOfMemory: "The model does not fit into memory",
    errors.DeadlineExceeded: "The request's own deadline, or the server's, has passed",
}
FURTHER_DESCRIPTIONS: dict[type[FluidError], str] = {
    errors.Conflict: "It does not go with the state that the model or download is in",
    errors.DownloadNotFound: "No download of that id",
    errors.RepositoryNotFound: "No such repository, revision or file on the Hub",
    errors.RepositoryGated: "The Hub wants its terms accepted first, or does not take the token",
    errors.Offline: "The server is offline by choice",
    errors.HubError: "The Hub failed or cannot be reached; with Retry-After where trying again may help",
    errors.OutOfDisk: "The download does not fit onto the disk",
    errors.StoreOff: "The server keeps nothing, by choice (`--no-store`)",
    errors.NotStored: "Nothing is kept under that id, or no longer",
    errors.StoreFailed: "The database failed or cannot be reached; with Retry-After where trying again may help",
}


def documented(*kinds: type[FluidError]) -> dict[int | str, dict[str, Any]]:
    """These failures (all that generating has, if none is named) as the API's description shows them."""
    said = DESCRIPTIONS | FURTHER_DESCRIPTIONS
    shown: dict[int | str, dict[str, Any]] = {}
    for kind in kinds or DESCRIPTIONS:
        one = shown.setdefault(STATUS[kind], {"model": ErrorBody, "description": ""})
        one["description"] += f"; or: {said[kind]}" if one["description"] else said[kind]
    return shown


def status_of(error: FluidError) -> int:
    """The status of the nearest class that the table names."""
    return next(STATUS[kind] for kind in type(error).__mro__ if issubclass(kind, FluidError) and kind in STATUS)


def body_of(error: FluidError) -> dict[str, Any]:
    """OpenAI's error object."""
    return _body(error.message, error.type, error.param, error.code)


def _body(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": _writable(message), "type": kind, "param": param and _writable(param), "code": code}}


def _writable(text: str) -> str:
    """Without the half characters that JSON can smuggle in and no answer can hold."""
    return text.encode("utf-8", "replace").decode()


def response_to(error: FluidError) -> Response:
    """A failure as a response, with Retry-After where trying again makes sense."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, errors.Unavailable) and not isinstance(error, UNTIL_SOMETHING_CHANGES):
        headers["Retry-After"] = "1"
    elif isinstance(error, UNTIL_SOMETHING_CHANGES):
        headers["x-should-retry"] = "false"  # OpenAI's clients would try twice more
    if isinstance(error, errors.ModelDownloading):
        headers["X-Download-ID"] = error.job
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(error), status_of(error), headers)


def internal_error() -> FluidError:
    """What a client is told of a defect of ours: nothing of its inside."""
    return FluidError("The server failed on this request. Its log says why.", code="internal_error")


def install(app: FastAPI) -> None:
    """Make every failure of the app answer in OpenAI's shape."""
    app.add_exception_handler(FluidError, _fluid)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _defect)


async def _fluid(request: Request, error: Exception) -> Response:
    assert isinstance(error, FluidError)
    request.state.failure = error.code
    return response_to(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _fluid(request, explain(error.errors()))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, FluidError):  # FastAPI hides whatever is raised while a body is read
        return await _fluid(request, error.__cause__)
    if isinstance(error.__cause__, ClientDisconnect):
        return await _left(request, error.__cause__)
    status, path = error.status_code, request.url.path
    messages = {
        HTTPStatus.NOT_FOUND: f"There is no {path} here. GET /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not take {request.method}.",
    }
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    message = messages.get(HTTPStatus(status), str(error.detail))
    return JSONResponse(_body(message, kind, None, code), status, error.headers)


async def _left(request: Request, error: Exception) -> Response:
    return await _fluid(request, errors.ClientGone(f"The client closed the connection ({error!r})."))


async def _defect(request: Request, error: Exception) -> Response:
    logger.error("defect on %s %s", request.method, request.url.path, exc_info=error)
    return response_to(internal_error())


def explain(problems: Sequence[Any]) -> InvalidRequest:
    """The first problem that pydantic found, in OpenAI's words, with the field's name as a client writes it."""
    problem = _telling(problems)
    param = field_name(problem["loc"])
    kind = str(problem["type"])
    if kind == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "syntax error")
        return InvalidRequest(f"The body is not valid JSON: {reason}.", code="invalid_json")
    if param is None:
        return InvalidRequest(
            "The body must be a JSON object, sent with 'Content-Type: application/json'.", code="invalid_body"
        )
    if kind == "missing":
        return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if kind == "extra_forbidden":
        return InvalidRequest(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    said = str(problem["msg"]).removeprefix("Value error, ")  # pydantic's word for a check of ours
    value = json.dumps(problem.get("input"), ensure_ascii=False, default=str)
    shown = value if len(value) <= 60 else value[:57] + "..."
    code = "invalid_type" if kind.endswith("_type") or kind.endswith("_parsing") else "invalid_value"
    return InvalidRequest(f"Invalid '{param}': {said} (got {shown}).", param=param, code=code)


def _telling(problems: Sequence[Any]) -> Any:
    """Of a union's problems (no string, and no list because of its third element) the one that went deepest.

    Where several members went into the value, nobody knows which was meant: then it is the first one's.
    """
    first = problems[0]["loc"]
    if len(first) > 2 and isinstance(first[2], int):
        same_item = [one for one in problems if one["loc"][:4] == first[:4]]
        return max(same_item, key=lambda one: len(one["loc"]))
    same_field = [one for one in problems if one["loc"][:2] == first[:2]]
    entered = {one["loc"][2] for one in same_field if len(one["loc"]) > 3}
    return max(same_field, key=lambda one: len(one["loc"])) if len(entered) == 1 else problems[0]


def field_name(location: Sequence[str | int]) -> str | None:
    """``('body', 'messages', 0, 'content', 'str')`` as ``messages[0].content``."""
    name, tags = "", frozenset[str]()
    for part in location[1:] if location and location[0] in ("body", "query") else location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part in tags:
            tags = frozenset()  # which member of a union it is: no field of its own
        elif part.isidentifier() and part not in TYPE_NAMES:
            name += f".{part}" if name else part
            tags = TAGS.get(part, frozenset())
    return name or None
