"""Who asks, for how long, and what they may be told while they wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fluid_server.errors import DeadlineExceeded

FOR_EVER = float("inf")


@dataclass(eq=False, slots=True, kw_only=True)
class Visitor:
    """One client's request on its way through the server.

    ``client`` tells clients apart for fair turns. ``timeout`` is in seconds, None without a limit. ``keep_alive`` is
    how many seconds the model stays after this request, FOR_EVER, or None to leave that as it is. ``waits`` is
    whether the client can be kept waiting for long, since it is told what goes on. ``activity`` says what that is.
    """

    client: str = ""
    timeout: float | None = None
    keep_alive: float | None = None
    waits: bool = False
    activity: Callable[[], str] = field(default=lambda: "waiting")
    started: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, at least 0; None where there is none."""
        return None if self.timeout is None else max(0.0, self.started + self.timeout - time.monotonic())

    def says(self) -> str:
        """What goes on now; ``activity`` is exchanged as the request moves on."""
        return self.activity()

    def too_late(self) -> DeadlineExceeded:
        """The failure of a request whose time is over."""
        return DeadlineExceeded(
            f"The request did not end within {self.timeout:g} s ({self.activity()}). Allow more with the header "
            "X-Request-Timeout or the server's --request-timeout, or ask for less."
        )
