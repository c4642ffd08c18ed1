"""fluid-server serve: listen, say where, and end in good order."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from fluid_server import __version__
from fluid_server.cli.announcement import Announcement, address_of, announced, withdraw
from fluid_server.cli.door import Door
from fluid_server.cli.exit_codes import ExitCode
from fluid_server.cli.prepare import logged, prepared
from fluid_server.cli.ready import Ready, ready, tell
from fluid_server.config import ServerConfig, export
from fluid_server.errors import ConfigError, FluidError, PortUnusable
from fluid_server.managers.grace import Grace
from fluid_server.workers.kin import end_children_with_us

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)
LARGEST_MESSAGE = 21 * 1024 * 1024  # bytes of a WebSocket message: 15 MiB of sound in base64, and the JSON around it
WEBSOCKETS = "uvicorn.protocols.websockets.websockets_sansio_impl"
PONG_WITHIN = 60  # seconds; a client that sends faster than its model hears is not read for a while, its pongs neither
CONNECTIONS_CLOSE = 1  # seconds that open connections get after their requests have ended


def run(
    config: ServerConfig, *, ready_json: bool = False, parent_pid: int | None = None, exit_with_stdin: bool = False
) -> int:
    """Serve until SIGINT, SIGTERM or the parent's end; returns the exit code.

    ``ready_json``: one line on stdout once it listens. The server ends with the process ``parent_pid``, and where
    ``exit_with_stdin`` when its standard input is closed. Errors: CannotStart, ConfigError.
    """
    if config.reload and (ready_json or exit_with_stdin or parent_pid is not None):
        raise ConfigError(
            "--reload is for development: it does not go with --ready-json, --parent-pid or --exit-with-stdin. "
            "Leave it out."
        )
    with logged(config):
        watch = _watch_of(parent_pid, stdin=exit_with_stdin)
        with listen(config) as listener, prepared(config):
            if config.reload:
                return _with_reload(config, listener)
            server = _server(config, listener)
            if ready_json:
                server.out, sys.stdout = sys.stdout, sys.stderr  # nothing else is written there
            _banner(config, server.place.url)
            with signals_end_well(server):
                watch(server.end)
                return _served(server, listener)


def _watch_of(parent_pid: int | None, *, stdin: bool) -> Callable[[Callable[[], None]], None]:
    """What begins to look after the parent, once there is something to end. Errors: ParentGone, ConfigError."""
    if parent_pid is None and not stdin:
        return lambda end: None
    from fluid_server.cli.parent import end_with, parent_of  # here: psutil takes 28 ms, and most servers need none yet

    parent = parent_of(parent_pid) if parent_pid is not None else None
    return lambda end: end_with(parent, stdin=stdin, end=end)


def _server(config: ServerConfig, listener: socket.socket) -> Server:
    end_children_with_us()
    port: int = listener.getsockname()[1]
    door = Door(lambda: _app(config))
    place = ready(config, address_of(config.host, port), port)
    return Server(uvicorn.Config(door, **_options(config)), door, config, place)


def _app(config: ServerConfig) -> FastAPI:
    _without_pydantic_1()
    from fluid_server.app import create_app  # here, since it takes most of a start: see the door

    import_module(WEBSOCKETS)  # the first WebSocket need not wait for it
    return create_app(config)


def _websocket(**given: Any) -> asyncio.Protocol:
    """The protocol of one WebSocket. uvicorn would import it, 20 ms, before it listens."""
    made: asyncio.Protocol = import_module(WEBSOCKETS).WebSocketsSansIOProtocol(**given)
    return made


def _without_pydantic_1() -> None:
    """FastAPI asks of every annotation whether it is pydantic 1's, and imports all of that to know: 3 MB and 45 ms for
    nothing, since nobody here has one. It takes a pydantic.v1 that cannot be imported for a no."""
    absent: Any = None
    sys.modules.setdefault("pydantic.v1", absent)


def _served(server: Server, listener: socket.socket) -> ExitCode:
    try:
        server.run(sockets=[listener])
    except SystemExit as left:
        if left.code != STARTUP_FAILURE:
            raise
    failure = server.door.failure
    if isinstance(failure, FluidError | ImportError):  # a package that is missing is told as everywhere
        raise failure
    if failure is not None:
        logger.error("the server failed", exc_info=failure)
    return ExitCode.WELL if server.started and failure is None else ExitCode.FAILED


class Server(uvicorn.Server):
    """uvicorn, but it says in the models and data folders where it is, and the requests that still run are told before
    their connections are closed. ``out``: where its place is written once it listens."""

    def __init__(self, config: uvicorn.Config, door: Door, settings: ServerConfig, place: Ready) -> None:
        super().__init__(config)
        self.door = door
        self._settings = settings
        door.give_up = self.end
        self.place = place
        self.out: TextIO | None = None
        self._announcement: Announcement | None = None
        self._grace = Grace(settings.shutdown_grace)
        self._hurried = False
        self.over = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Once: end in good order. Twice: the same, but what runs gets no more time. After that: at once."""
        if self.should_exit and not self._hurried:
            self._hurried = True
            self._loop.call_soon_threadsafe(self._grace.cut_short)  # a handler runs between any two steps
            return
        super().handle_exit(sig, frame)

    def end(self) -> None:
        """Shut down in good order, as if a signal had asked for it. May be called in any thread."""
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve to the end. Where it is is said before it listens: whoever reaches it finds it too."""
        self._loop = asyncio.get_running_loop()
        with announced(self._folders, self.place.url) as self._announcement:
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. Whoever started it is told once the app is there, and so never of a server that could not start."""
        await super().startup(sockets)
        if not self.started or await self.door.app() is None:
            return
        logger.info("listening at %s", self.place.url, extra={"version": __version__, "pid": self.place.pid})
        if self.out is not None:
            tell(self.place, self.out)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests finish or fail readably, then close connections and run the app's own shutdown."""
        logger.info("shutting down: what runs gets %g s, or less after a second Ctrl-C", self._settings.shutdown_grace)
        if self._announcement is not None:
            await asyncio.to_thread(withdraw, self._folders, self._announcement)
        if (app := await self.door.app()) is not None:
            app.state.incoming.end()
            await asyncio.gather(app.state.manager.drain(self._grace), app.state.sessions.close(self._grace))
        await super().shutdown(sockets)
        logger.info("ended")
        self.over = True

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self._settings.meeting_places


@contextmanager
def signals_end_well(server: Server) -> Generator[None, None, None]:
    """Make a shutdown that was asked for end with exit code 0.

    uvicorn shuts down in good order and then raises the signal again for whoever listened before it: nobody
    needs to hear of it once everything is over.
    """

    def ended(number: int, frame: FrameType | None) -> None:
        if not server.over:
            raise SystemExit(128 + number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    before = {number: signal.signal(number, ended) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _options(config: ServerConfig) -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": CONNECTIONS_CLOSE,
        "server_header": False,
        "ws": _websocket,
        "ws_max_size": LARGEST_MESSAGE,
        "ws_ping_timeout": PONG_WITHIN,
        "loop": asyncio.new_event_loop if sys.platform == "win32" else "auto",
    }


def listen(config: ServerConfig) -> socket.socket:
    """A listening socket, made before anything is loaded. Errors: PortUnusable, saying why."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # The protocol must be named: asyncio switches Nagle's algorithm off only where it sees TCP, and with it on a
    # response in two writes waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # there, SO_REUSEADDR would let two servers share one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise PortUnusable(_why_not(config, error), param="port") from error
    listener.set_inheritable(False)
    return listener


def _why_not(config: ServerConfig, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"'{config.host}' is no address of this machine. Use 127.0.0.1, or one that it has, with --host."
    if error.errno == errno.EACCES:
        return f"Port {config.port} needs rights that this user does not have. Choose one above 1023 with --port."
    return (
        f"Port {config.port} on {config.host} cannot be used ({error.strerror}). Another server may have it: choose "
        "one with --port, or --port 0 for any that is free."
    )


def _banner(config: ServerConfig, address: str) -> None:
    rows = {
        "API": f"{address}/v1   (OpenAI clients: base_url)",
        "Docs": f"{address}/docs",
        "Health": f"{address}/health",
        "Models": f"{config.model_path.absolute()}",
        **({"Data": f"{config.data_dir.absolute()}"} if config.data_dir else {}),
    }
    print(f"Fluid Server {__version__}", file=sys.stderr)
    for name, value in rows.items():
        print(f"  {name:<7} {value}", file=sys.stderr)
    print("  Ctrl-C ends it.", file=sys.stderr, flush=True)


def _with_reload(config: ServerConfig, listener: socket.socket) -> int:
    if not config.port:
        raise ConfigError("--reload needs a port of its own: choose one with --port.", param="port")
    listener.close()  # it has shown that the port is free, else uvicorn would start again and again
    export(config)
    address = address_of(config.host, config.port)
    _banner(config, address)
    with announced(config.meeting_places, address):
        uvicorn.run(
            "fluid_server.app:create_app",
            factory=True,
            reload=True,
            host=config.host,
            port=config.port,
            **_options(config),
        )
    return 0
