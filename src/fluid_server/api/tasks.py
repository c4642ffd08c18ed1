"""How the tasks of a request end when the request does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel them and wait until they have ended; what becomes of them is nobody's concern any more.

    ``asyncio.gather`` is not for this: cancelled while it waits it raises a cancellation of its own making, without the
    message by which the scope that cancelled knows it again, and the scope lets it through as if it came from outside.
    """
    ending = list(tasks)
    for task in ending:
        task.add_done_callback(_seen)
        task.cancel()
    if ending:
        await asyncio.wait(ending)


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
