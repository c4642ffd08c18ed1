"""The time that what still runs gets to finish when the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class Grace:
    """So many seconds, or fewer where whoever ends the server asks again. To be used on one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = asyncio.Event()

    def cut_short(self) -> None:
        """It is over now. Not before the loop runs."""
        self._over.set()

    async def give(self, work: Coroutine[Any, Any, object], *, more: float = 0) -> None:
        """Wait until the work is done, or the time is over; then it is cancelled. ``more``: seconds on top."""
        working = asyncio.ensure_future(work)
        over = asyncio.ensure_future(self._over.wait())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds + more):
                    await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            working.cancel()
        if working.done() and not working.cancelled():
            working.result()
