"""All that the soak's clients do, each with how often it is drawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.soak_client import Client
from benchmarks.soak_downloads import delete_pulled, pull, steer, use_pulled
from benchmarks.soak_models import bad, kill, listen, load, look, pin, unload
from benchmarks.soak_requests import (
    burst,
    by_sdk,
    chat,
    chat_several,
    chat_streamed,
    completion,
    deadline,
    leave_queued,
    leave_stream,
    leave_upload,
    leave_whole,
    transcription,
)

Action = Callable[[Client], Awaitable[str]]
ACTIONS: dict[str, tuple[Action, float]] = {
    "chat": (chat, 20), "chat streamed": (chat_streamed, 20), "chat with n": (chat_several, 6),
    "chat by SDK": (by_sdk, 10), "completion": (completion, 8), "transcription": (transcription, 8),
    "deadline": (deadline, 6), "burst": (burst, 1.5), "leave a stream": (leave_stream, 6),
    "leave an answer": (leave_whole, 6), "leave a queue": (leave_queued, 3), "leave an upload": (leave_upload, 2),
    "load": (load, 4), "unload": (unload, 4), "pin": (pin, 1.5), "kill": (kill, 1), "look": (look, 5),
    "listen": (listen, 2), "bad request": (bad, 8), "pull": (pull, 4), "steer a download": (steer, 6),
    "use a pulled model": (use_pulled, 4), "delete a pulled model": (delete_pulled, 2),
}  # fmt: skip
