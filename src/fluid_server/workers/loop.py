"""The child side: one runtime in a process of its own. Add, step, cancel, until told to stop or left alone."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback

from fluid_server.errors import EngineFailed, FluidError
from fluid_server.runtimes.base import BaseRuntime, Outcome, plain_reason
from fluid_server.runtimes.table import create
from fluid_server.types import Request
from fluid_server.workers.kin import end_with_server
from fluid_server.workers.post import Post
from fluid_server.workers.protocol import (
    Cancel,
    Channel,
    Failed,
    Feed,
    Garbled,
    Load,
    Loaded,
    Progress,
    Stop,
    Submit,
)

ENGINE_FAILED = 70  # exit code: the model did not load, or its engine raised out of a step
SWITCH_INTERVAL = 0.0005  # the inbox thread must get the GIL between two short steps


def main() -> int:
    """Serve one model over stdin and stdout; returns the process's exit code."""
    end_with_server()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business: it tells us to stop
    sys.setswitchinterval(SWITCH_INTERVAL)
    channel = take_over_stdio()
    message = channel.receive()
    if not isinstance(message, Load):
        raise TypeError(f"the first message must be Load, not {type(message).__name__}")
    code = work(channel, Inbox(channel), message)
    # Native engines may crash in their destructors at interpreter exit (measured: xllamacpp with a request in
    # flight); the answer has been sent, so leave without them.
    sys.stderr.flush()
    os._exit(code)


def take_over_stdio() -> Channel:
    """Keep stdin and stdout for messages; whatever an engine prints goes to stderr, which the server logs."""
    reader, writer = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    _set_binary(reader, writer)
    return Channel(os.fdopen(reader, "rb"), os.fdopen(writer, "wb"))


def _set_binary(*descriptors: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        for descriptor in descriptors:
            msvcrt.setmode(descriptor, os.O_BINARY)


class Inbox:
    """Messages from the server, read by a thread so that a cancel is there when a step ends.

    When the server has gone, nobody needs this process: it ends at once, even in the middle of a native call (of one
    that holds the GIL by ``end_with_server``).
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.runtime: BaseRuntime | None = None  # is told of a cancel while it computes
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, OSError):
                os._exit(0)
            except Garbled:  # such as for want of memory: one that hears nothing any more must not live on
                traceback.print_exc()
                os._exit(ENGINE_FAILED)
            self._messages.put(message)  # first: a step that ends early must find it
            if isinstance(message, Cancel) and self.runtime is not None:
                self.runtime.abandon(message.id)

    def take(self, *, wait: bool) -> list[object]:
        """All messages that are here; with ``wait``, at least one."""
        messages = [self._messages.get()] if wait else []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages


class Stage:
    """What the worker is at: told to the server while it loads, and part of the words when it fails."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.text = "importing the engine"

    def report(self, text: str, fraction: float | None) -> None:
        """Go on to this stage."""
        self.text = text
        self._channel.send(Progress(text, fraction))


def work(channel: Channel, inbox: Inbox, message: Load) -> int:
    """Load the model and serve it to its end; what ends it early is said to the server. Returns the exit code."""
    stage = Stage(channel)
    failure: FluidError
    try:
        runtime = create(message.runtime)
        channel.send(Loaded(runtime.load(message.spec, message.options, stage.report)))
        stage.text = "a step of the engine"
        return serve(channel, inbox, runtime)
    except FluidError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - engines raise whatever they like, and after it they are poisoned
        traceback.print_exc()
        failure = EngineFailed(f"{stage.text} failed: {plain_reason(error)}")
    channel.send(Failed(failure))
    return ENGINE_FAILED


def serve(channel: Channel, inbox: Inbox, runtime: BaseRuntime) -> int:
    """The loop: drain the inbox (blocking only when idle), step once, send what it brought."""
    inbox.runtime = runtime
    with Post(channel, runtime) as post:
        while True:
            began = time.monotonic()
            outcomes: list[Outcome] = []
            if messages := inbox.take(wait=not runtime.busy):
                post.send()  # the next step may be a longer one
            for message in messages:
                if isinstance(message, Stop):
                    runtime.close()
                    return 0
                outcomes += _apply(runtime, message)
            if runtime.busy:
                runtime.count(steps=1)
                outcomes += runtime.step()
            post.take(outcomes, began)


def _apply(runtime: BaseRuntime, message: object) -> list[Outcome]:
    match message:
        case Submit(id=request_id, request=request):
            return _add(runtime, request_id, request)
        case Feed(id=request_id, fed=fed):
            runtime.feed(request_id, fed)
            return []
        case Cancel(id=request_id):
            return runtime.cancel(request_id)
    raise TypeError(f"unexpected message {type(message).__name__}")


def _add(runtime: BaseRuntime, request_id: int, request: Request) -> list[Outcome]:
    failure: FluidError
    try:
        runtime.add(request_id, request)
    except FluidError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - what a template or tokenizer makes of one request is that one's end
        traceback.print_exc()
        failure = EngineFailed(f"The model could not take this request: {plain_reason(error)}")
    else:
        return []
    runtime.refused()
    return [(request_id, failure)]
