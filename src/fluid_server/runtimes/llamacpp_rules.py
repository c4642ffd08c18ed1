"""Rules of a GBNF grammar become llguidance's Lark: terminals where that is exact, single characters elsewhere. Pure.

llguidance's lexer is greedy: next to each other, a terminal swallows what the grammar leaves to the next. What is
regular as a whole can be one terminal. In JSON every part says by itself where it ends, so there the regular parts of
a recursive grammar can be terminals too, which makes it ten times as fast.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fluid_server.runtimes.llamacpp_gbnf import (
    Character,
    InOrder,
    Node,
    OneOf,
    Reference,
    Repeated,
    Special,
    Text,
    read_gbnf,
    refused,
)

ROOT = "root"
DEEPEST_TERMINAL = 250
_ID = re.compile(r"(!?)<\[(\d+)\]>")


@dataclass(frozen=True, slots=True)
class Lowered:
    """A grammar in Lark: ``expression`` with the rules that it needs. ``regular``: it may stand in a terminal."""

    expression: str
    regular: bool
    rules: tuple[str, ...] = ()


def lower(definition: str, prefix: str, *, is_json: bool) -> Lowered:
    """A grammar in Lark, with rules whose names begin with ``prefix``. Errors: InvalidRequest."""
    nodes = read_gbnf(definition)
    regular = _regular(nodes)
    grammar = _Grammar(nodes, prefix)
    if is_json or ROOT in regular:
        for name in regular:
            grammar.terminals[name] = grammar.define(grammar.terminal(nodes[name]))
    if ROOT in regular:
        return Lowered(grammar.terminals[ROOT], True, tuple(grammar.rules))
    root = grammar.rule(ROOT, by_character=not is_json)
    return Lowered(root, False, tuple(grammar.rules))


def quoted(text: str) -> str:
    """A text as Lark's string literal."""
    return json.dumps(text, ensure_ascii=False)


def _regular(nodes: Mapping[str, Node]) -> list[str]:
    """The rules that may be terminals, each behind those that it refers to.

    They lead to themselves by no way, have no special token, and stand on no long chain of others.
    """
    waiting = {name: set(_references(node)) for name, node in nodes.items() if not _has_special(node)}
    users: dict[str, list[str]] = {name: [] for name in nodes}
    for name, references in waiting.items():
        for reference in references:
            users[reference].append(name)
    ready = [name for name, references in waiting.items() if not references]
    depths = dict.fromkeys(nodes, 1)
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for user in users[name]:
            waiting[user].discard(name)
            depths[user] = max(depths[user], depths[name] + 1)
            if not waiting[user] and depths[user] <= DEEPEST_TERMINAL:
                ready.append(user)
    return order


def _references(node: Node) -> Iterator[str]:
    if isinstance(node, Reference):
        yield node.name
    for part in _parts(node):
        yield from _references(part)


def _has_special(node: Node) -> bool:
    return isinstance(node, Special) or any(_has_special(part) for part in _parts(node))


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Repeated(part=part):
            return (part,)
        case InOrder(parts=parts) | OneOf(options=parts):
            return parts
    return ()


@dataclass(slots=True)
class _Grammar:
    """A grammar under way; ``terminals`` are the regular rules by their names, as far as they are wanted."""

    nodes: Mapping[str, Node]
    prefix: str
    rules: list[str] = field(default_factory=list)
    terminals: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def terminal(self, node: Node) -> str:
        """Something regular as a terminal's expression; what it refers to is a terminal already."""
        match node:
            case Text(text=text):
                return quoted(text)
            case Character(pattern=pattern):
                return f"/{pattern}/"
            case Repeated(part=part, sign=sign):
                return f"({self.terminal(part)}){sign}"
            case InOrder(parts=parts):
                return " ".join(f"({self.terminal(part)})" for part in parts) or '""'
            case OneOf(options=options):
                return f"({' | '.join(self.terminal(option) for option in options)})"
            case Reference() | Special():
                return self.terminals[node.name] if isinstance(node, Reference) else _special(node)

    def is_terminal(self, node: Node) -> bool:
        """Whether something is regular."""
        return not _has_special(node) and all(name in self.terminals for name in _references(node))

    def define(self, expression: str) -> str:
        """A terminal of its own for this; terminals are what begins with a capital."""
        name = f"{self.prefix.upper()}{len(self.rules)}"
        self.rules.append(f"{name}: {expression}")
        return name

    # --- rules -------------------------------------------------------------------------------------------------

    def rule(self, name: str, *, by_character: bool) -> str:
        """The name of the Lark rule for a rule."""
        waiting = [name]
        self._names[name] = f"{self.prefix}r0"
        while waiting:
            one = waiting.pop()
            known = set(self._names)
            body = self._by_character(self.nodes[one]) if by_character else self._by_terminals(self.nodes[one])
            self.rules.append(f"{self._names[one]}: {body}")
            waiting += self._names.keys() - known
        return self._names[name]

    def _called(self, name: str) -> str:
        return self._names.setdefault(name, f"{self.prefix}r{len(self._names)}")

    def _by_character(self, node: Node) -> str:
        match node:
            case Text(text=text):
                return " ".join(quoted(character) for character in text) or '""'
            case Character(pattern=pattern):
                return f"/{pattern}/"
            case Reference() | Special():
                return self._called(node.name) if isinstance(node, Reference) else _special(node)
            case Repeated(part=part, sign=sign):
                return f"({self._by_character(part)}){sign}"
            case InOrder(parts=parts):
                return " ".join(f"({self._by_character(part)})" for part in parts) or '""'
            case OneOf(options=options):
                return " | ".join(f"({self._by_character(option)})" for option in options)

    def _by_terminals(self, node: Node) -> str:
        """Regular neighbours, and regular alternatives, become one terminal each."""
        if self.is_terminal(node):
            return self.define(self.terminal(node))
        match node:
            case Reference(name=name):
                return self._called(name)
            case Repeated(part=part, sign=sign):
                return f"({self._by_terminals(part)}){sign}"
            case InOrder(parts=parts):
                return " ".join(f"({self._by_terminals(part)})" for part in self._grouped(parts))
            case OneOf(options=options):
                regular = tuple(option for option in options if self.is_terminal(option))
                others = [f"({self._by_terminals(option)})" for option in options if option not in regular]
                return " | ".join([*others, *([self._by_terminals(OneOf(regular))] if regular else [])])
        return self._by_character(node)

    def _grouped(self, parts: tuple[Node, ...]) -> list[Node]:
        grouped: list[Node] = []
        for part in parts:
            together = InOrder((grouped[-1], part)) if grouped else part
            if grouped and self.is_terminal(together):
                grouped[-1] = together
            else:
                grouped.append(part)
        return grouped


def _special(node: Special) -> str:
    found = _ID.fullmatch(node.text)
    if found is None:
        raise refused(f"the token '{node.text}' must be named by its id, as <[7]>, within a larger answer", node.line)
    return f"<[{'^' if found[1] else ''}{found[2]}]>"
