"""Numbers within bounds, as a grammar: digit by digit, with what is known of the bounds and the remainder so far."""

from __future__ import annotations

from dataclasses import dataclass

from fluid_server.content.ebnf import EMPTY, Rules, literal, one_of
from fluid_server.content.json_schema_types import Span

MOST_DIGITS = 15  # before the point: what every reader of JSON holds exactly
INTEGER = '("0" | "-"? [1-9] [0-9]{0,14})'
NUMBER = '("-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+\\-]? [0-9]{1,2})?)'


@dataclass(frozen=True, slots=True)
class _State:
    """``left`` digits are to come. Tight: all digits so far are the bound's own. ``rest``: modulo the step."""

    left: int
    rest: int
    low: str | None
    high: str | None
    begun: bool


class NumberWriter:
    """The rules for one span of numbers."""

    def __init__(self, rules: Rules, span: Span) -> None:
        self._rules = rules
        self._digits = span.digits
        self._step = span.step
        self._names: dict[_State, str | None] = {}
        room = 10 ** (MOST_DIGITS + span.digits)
        low, high = span.low, span.high
        self._low = low if low is not None else min(-room, -room if high is None else high - room)
        self._high = high if high is not None else max(room, self._low + room)

    def written(self) -> str:
        """An expression for every number of the span."""
        options = self._between(max(self._low, 0), self._high)
        options += [f'"-" {option}' for option in self._between(max(1, -self._high), -self._low)]
        return one_of(options)

    def _between(self, low: int, high: int) -> list[str]:
        """Expressions for the numbers from low to high, one for each count of digits. Neither is negative."""
        fewest = self._digits + 1
        options = []
        for count in range(max(fewest, len(str(low))), max(fewest, len(str(high))) + 1):
            first = max(low, 10 ** (count - 1) if count > fewest else 0)
            last = min(high, 10**count - 1)
            if first <= last:
                state = _State(count, 0, f"{first:0{count}}", f"{last:0{count}}", begun=False)
                options.append(self._rule(state))
        return [option for option in options if option is not None]

    def _rule(self, state: _State) -> str | None:
        """The name of the rule for what follows in this state; None where nothing can."""
        if state in self._names:
            return self._names[state]
        body = self._body(state)
        self._names[state] = None if body is None else self._rules.add(body, "n")
        return self._names[state]

    def _body(self, state: _State) -> str | None:
        if state.left == 0:
            return EMPTY if state.rest == 0 else None
        if self._is_free(state):
            return self._free(state.left)
        by_follower: dict[str, str] = {}
        for digit in "0123456789":
            follower = self._after(state, digit)
            if follower is not None and (name := self._rule(follower)) is not None:
                by_follower[name] = by_follower.get(name, "") + digit
        point = '"." ' if state.left == self._digits else ""
        options = [f"{point}[{digits}] {name}" for name, digits in by_follower.items()]
        if self._may_stop(state):
            options.insert(0, EMPTY)
        return one_of(options) if options else None

    def _after(self, state: _State, digit: str) -> _State | None:
        low = high = None
        if state.low is not None:
            if digit < state.low[0]:
                return None
            low = state.low[1:] if digit == state.low[0] else None
        if state.high is not None:
            if digit > state.high[0]:
                return None
            high = state.high[1:] if digit == state.high[0] else None
        left = state.left - 1
        rest = (state.rest + int(digit) * 10**left) % self._step
        return _State(left, rest, low, high, begun=True)

    def _may_stop(self, state: _State) -> bool:
        """Whether the digits behind the point that are left may be left out: as zeros they would be right."""
        zeros = state.low is None or not state.low.strip("0")
        return state.begun and state.left <= self._digits and zeros and state.rest == 0

    def _is_free(self, state: _State) -> bool:
        return self._step == 1 and state.low is None and state.high is None

    def _free(self, left: int) -> str:
        """Any digits: those before the point, and as many behind it as there may be."""
        if left < self._digits:
            return f"[0-9]{{0,{left}}}"
        before, behind = left - self._digits, self._digits
        fraction = f'("." [0-9]{{1,{behind}}})?' if behind else ""
        return f"[0-9]{{{before}}} {fraction}".strip() if before else fraction or literal("")
