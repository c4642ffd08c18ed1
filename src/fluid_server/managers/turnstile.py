"""Who goes next: a bounded number of places in a model, given to its clients in turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class Turnstile:
    """Places in a model: ``taken`` of ``capacity``, by ``inside`` requests.

    Clients take turns, one request each, however many requests one of them has waiting.
    Within a client the order is that of arrival. A request that needs several places waits at its turn until they
    are free, and nobody overtakes it then: so a large one is never starved by small ones.
    """

    def __init__(self) -> None:
        self.capacity = 1
        self.taken = 0
        self.inside = 0
        self._ring: OrderedDict[str, deque[Pass]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(len(line) for line in self._ring.values())

    def open(self, capacity: int) -> None:
        """Say how many places there are; at least one."""
        self.capacity = max(1, capacity)
        self._let_in()

    def line_up(self, client: str, places: int) -> Pass:
        """Join the client's line. The pass must be left, whether its turn came or not."""
        joined = Pass(self, client, places)
        self._ring.setdefault(client, deque()).append(joined)
        self._let_in()
        return joined

    def position(self, one: Pass) -> int:
        """Whose turn comes how soon: 1 is next, 0 has its places."""
        if one.has_places:
            return 0
        clients = list(self._ring)
        mine = clients.index(one.client)
        rounds = self._ring[one.client].index(one)
        earlier = (
            min(len(self._ring[client]), rounds + (index < mine))
            for index, client in enumerate(clients)
            if client != one.client
        )
        return 1 + rounds + sum(earlier)

    def leave(self, one: Pass) -> None:
        """Give places back, or leave the line."""
        if one.has_places:
            self.taken -= one.places
            self.inside -= 1
        else:
            self._out_of_line(one)
        self._let_in()

    def _let_in(self) -> None:
        while self._ring:
            client, line = next(iter(self._ring.items()))
            first = line[0]
            first.places = min(first.places, self.capacity)
            if self.taken + first.places > self.capacity:
                return
            self._ring.move_to_end(client)
            self._out_of_line(first)
            self.taken += first.places
            self.inside += 1
            first.let_in()

    def _out_of_line(self, one: Pass) -> None:
        line = self._ring[one.client]
        line.remove(one)
        if not line:
            del self._ring[one.client]


class Pass:
    """One request's claim on ``places``: first in line, then inside."""

    def __init__(self, turnstile: Turnstile, client: str, places: int) -> None:
        self.client = client
        self.places = places
        self.has_places = False
        self._turnstile = turnstile
        self._left_at: int | None = None
        self._turn = asyncio.Event()

    @property
    def position(self) -> int:
        """How many turns until it is this one's; 0 when it has its places. After it has left: where it was."""
        return self._turnstile.position(self) if self._left_at is None else self._left_at

    async def turn(self) -> None:
        """Wait for the places."""
        await self._turn.wait()

    def let_in(self) -> None:
        """The turnstile has taken the places for it."""
        self.has_places = True
        self._turn.set()

    def leave(self) -> None:
        """Give the places, or the place in line, back; a second time is no harm."""
        if self._left_at is None:
            self._left_at = self.position
            self._turnstile.leave(self)
