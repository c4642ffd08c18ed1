"""Who is let in: hosts, origins and sizes, decided before any route sees the request."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fluid_server.api.errors import response_to
from fluid_server.api.incoming import Incoming
from fluid_server.config import ServerConfig, is_loopback
from fluid_server.errors import FluidError, Forbidden, TooLarge

FORM_OVERHEAD = 1024 * 1024  # boundaries and the other fields of an upload


class Guard:
    """Turns away, in OpenAI's error shape, what the configuration does not let in."""

    def __init__(self, app: ASGIApp, config: ServerConfig, incoming: Incoming) -> None:
        self._app = app
        self._config = config
        self._incoming = incoming
        self._hosts = {host.lower() for host in (config.host, *config.allowed_hosts)}
        self._origins = set(config.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on with a counted body."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_origin(headers)
            limited = self._limited(headers, receive) if scope["type"] == "http" else receive
        except FluidError as error:
            await response_to(error)(scope, receive, send)
            return
        await self._app(scope, limited, send)

    def _check_host(self, headers: Headers) -> None:
        """A page whose name was made to point here (DNS rebinding) still says its own name."""
        host = host_of(headers.get("host", ""))
        if self._config.binds_loopback and not (is_local(host) or host in self._hosts):
            raise Forbidden(f"The host name '{host[:80]}' is not served. Use 127.0.0.1, or add it to --allowed-hosts.")

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None or origin.lower() in self._origins or is_local(host_in(origin)):
            return
        raise Forbidden(f"Web pages of '{origin[:80]}' may not call this server. Add it to --allowed-origins.")

    def _limited(self, headers: Headers, receive: Receive) -> Receive:
        upload = headers.get("content-type", "").lower().startswith("multipart/")
        allowed = self._config.max_upload if upload else self._config.max_body
        flag, param = ("--max-upload", "file") if upload else ("--max-body", None)
        error = TooLarge(
            f"The body is larger than {allowed.human_readable()}. Raise {flag} if that is meant.", param=param
        )
        limit = allowed + (FORM_OVERHEAD if upload else 0)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise error
        return _counting(receive, self._incoming, limit, error)


def _counting(receive: Receive, incoming: Incoming, limit: int, error: FluidError) -> Receive:
    received, complete = 0, False

    async def counted() -> Message:
        nonlocal received, complete
        if complete:  # from now on it is the client's leaving that is waited for
            return await receive()
        message = await incoming.piece(receive)
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if received > limit:
            raise error
        return message

    return counted


def host_of(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    return host_in(f"//{header}")


def host_in(url: str) -> str:
    """The name in a URL, in lower case; nothing where there is none or the URL is malformed."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def is_local(host: str) -> bool:
    """Whether a client's or page's host is this machine: names below ``localhost`` are too."""
    return is_loopback(host) or host.lower().endswith(".localhost")
