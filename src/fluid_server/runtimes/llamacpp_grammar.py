"""A shape is written down for llguidance, the grammar engine in llama.cpp: Lark with its extensions. Pure.

Its lexer is greedy: a terminal goes on as long as it can. So neighbours that are regular become one terminal, and one
that must end as early as possible is marked lazy. What a vocabulary calls special never matches text: it has to be
named by its id. JSON and regular expressions come from the same grammars as for the other engine: llguidance's own
have no bound for numbers, and differ in what they take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fluid_server import shapes
from fluid_server.content.json_grammar import json_grammar
from fluid_server.content.json_schema import check_regex, check_schema
from fluid_server.content.regex import parse_regex
from fluid_server.content.regex_grammar import regex_grammar
from fluid_server.runtimes.llamacpp_gbnf import check_length
from fluid_server.runtimes.llamacpp_rules import lower, quoted
from fluid_server.shapes import AnyText, Choice, Const, Grammar, JSONSchema, Regex, Shape, Tag, Tagged

HEADER = "%llguidance {}\n"
SENTINEL = "zqxzqxzqxzqx"  # nothing that a model begins to write by itself
ANY = "/(?s:.*)/"
SHAPE_PARAM = "response_format"
# A text cut where special tokens stand in it: plain parts, and the ids of those tokens.
Split = Callable[[str], Sequence[str | int]]


@dataclass(frozen=True, slots=True)
class _Regular:
    """A terminal's expression. A lazy one ends as soon as it matches, and is not to be joined with what follows."""

    expression: str
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    """An expression that only a rule may have: a special token, a JSON schema, the name of another rule."""

    expression: str


_Item = _Regular | _Rule

# A text, an expression and a comment are passed over as they are; a count is what is written anew.
_COUNTED = re.compile(
    r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/(?:\\.|[^/\\\n])+/|\s*~\s*(?P<least>\d+)(?:\s*\.\.\s*(?P<most>\d+))?'
)


def to_lark(shape: Shape, split: Split) -> str:
    """The grammar of a shape. Errors: InvalidRequest where an EBNF grammar in it cannot be read."""
    writer = _Writer(split)
    body = writer.joined(writer.items(shape))
    return "\n".join([f"{HEADER}start: main", f"main: {body}", *writer.rules, ""])


def counts(lark: str) -> str:
    """A user's Lark with its counts, ``item ~ 1..2``, as llguidance writes them: ``item{1,2}``."""
    return _COUNTED.sub(_count, lark)


def _count(found: re.Match[str]) -> str:
    least, most = found["least"], found["most"]
    if least is None:
        return found[0]  # a text, an expression or a comment: none of it is a count
    return f"{{{least},{most}}}" if most else f"{{{least}}}"


def probe(lark: str) -> str:
    """The same grammar behind a sentinel: an answer that begins with it tells that the engine has read the grammar.

    llama.cpp says nothing to a grammar that llguidance refused; it generates freely.
    """
    return lark.replace("start: main", f"start: {quoted(SENTINEL)} main", 1)


def obeyed(answer: str) -> bool:
    """Whether the first tokens to a probe are the sentinel's."""
    return bool(answer) and (SENTINEL.startswith(answer) or answer.startswith(SENTINEL))


def leaves(shape: Shape) -> Iterable[JSONSchema | Regex | Grammar]:
    """The parts of a shape that a user wrote and that an engine may refuse."""
    match shape:
        case JSONSchema() | Regex() | Grammar():
            yield shape
        case Tag(content=content):
            yield from leaves(content)
        case shapes.Sequence(parts=parts) | Choice(options=parts) | Tagged(tags=parts):
            for part in parts:
                yield from leaves(part)


@dataclass(slots=True)
class _Writer:
    split: Split
    rules: list[str] = field(default_factory=list)

    def items(self, shape: Shape) -> list[_Item]:
        """What a shape is made of."""
        items: list[_Item] = []
        match shape:
            case Const(text=text):
                items = self._literal(text)
            case AnyText():
                items = [_Regular(ANY)]
            case Regex(pattern=pattern):
                check_regex(pattern, param=SHAPE_PARAM)
                items = [self._lowered(regex_grammar(parse_regex(pattern)))]
            case JSONSchema(schema=schema):
                check_schema(schema, param=SHAPE_PARAM, strict=False)
                items = [self._lowered(json_grammar(schema), is_json=True)]
            case Grammar(definition=definition, syntax=syntax):
                check_length(definition)
                lark = syntax == "lark"
                items = [self._named(f"%lark {{\n{counts(definition)}\n}}") if lark else self._lowered(definition)]
            case shapes.Sequence(parts=parts):
                items = [item for part in parts for item in self.items(part)]
            case Choice(options=options):
                items = [self._choice(options)]
            case Tag():
                items = self._tag(shape)
            case Tagged():
                items = [self._tagged(shape)]
        return items

    def joined(self, items: Sequence[_Item]) -> str:
        """One after the other, as a rule's expression."""
        return " ".join(self._expression(item) for item in _merged(items)) or '""'

    def _expression(self, item: _Item) -> str:
        if isinstance(item, _Rule):
            return item.expression
        if item.lazy:
            return self._define(f"lazy{len(self.rules)}", f"[lazy]: {item.expression}")
        return self._define(f"T{len(self.rules)}", f": {item.expression}")

    def _define(self, name: str, definition: str) -> str:
        self.rules.append(name + definition)
        return name

    def _named(self, expression: str) -> _Rule:
        return _Rule(self._define(f"r{len(self.rules)}", f": {expression}"))

    def _literal(self, text: str) -> list[_Item]:
        return [
            _Rule(f"<[{part}]>") if isinstance(part, int) else _Regular(quoted(part))
            for part in self.split(text)
            if part != ""
        ]

    def _lowered(self, ebnf: str, *, is_json: bool = False) -> _Item:
        lowered = lower(ebnf, f"g{len(self.rules)}_", is_json=is_json)
        self.rules += lowered.rules
        return _Regular(lowered.expression) if lowered.regular else _Rule(lowered.expression)

    def _choice(self, options: Sequence[Shape]) -> _Item:
        written = [_merged(self.items(option)) for option in options]
        if all(_is_regular(items) for items in written):
            texts = [item.expression for items in written for item in items if isinstance(item, _Regular)]
            optional = "?" if len(texts) < len(options) else ""
            return _Regular(f"({' | '.join(texts)}){optional}")
        return self._named(" | ".join(self.joined(items) for items in written))

    def _tag(self, tag: Tag) -> list[_Item]:
        inner, end = self.items(tag.content), self._literal(tag.end)
        items = _merged([*self._literal(tag.begin), *inner, *end])
        open_ended = bool(inner) and isinstance(inner[-1], _Regular) and not isinstance(tag.content, Const)
        if open_ended and len(end) == 1 and isinstance(items[-1], _Regular):
            items[-1] = replace(items[-1], lazy=True)
        return items

    def _tagged(self, tagged: Tagged) -> _Rule:
        later, first = [], []
        for trigger in tagged.triggers:
            tags = [tag for tag in tagged.tags if _trigger(tag, tagged.triggers) == trigger]
            if not tags:
                continue
            rest = [replace(tag, begin=tag.begin.removeprefix(trigger)) for tag in tags]
            group = self._named(" | ".join(self.joined(self._tag(tag)) for tag in rest))
            literal = self._literal(trigger)
            first.append(self.joined([*literal, group]))
            later.append(self.joined([*_awaited(literal), group]))
        return self._named(_repeated(tagged, " | ".join(first), " | ".join(later), self._expression(_Regular(ANY))))


def _repeated(tagged: Tagged, first: str, later: str, free: str) -> str:
    if tagged.at_least_one:
        return f"({first})" if tagged.stop_after_first else f"({first}) ({later})* {free}"
    return f"({later}) | {free}" if tagged.stop_after_first else f"({later})* {free}"


def _trigger(tag: Tag, triggers: Sequence[str]) -> str | None:
    return max((one for one in triggers if tag.begin.startswith(one)), key=len, default=None)


def _awaited(literal: Sequence[_Item]) -> list[_Item]:
    """Free text up to the first place where the literal stands. A special token ends the text by itself."""
    head, *rest = literal
    if isinstance(head, _Rule):
        return [_Regular(ANY), head, *rest]
    return [_Regular(f"{ANY} {head.expression}", lazy=True), *rest]


def _is_regular(items: Sequence[_Item]) -> bool:
    return not items or (len(items) == 1 and isinstance(items[0], _Regular) and not items[0].lazy)


def _merged(items: Sequence[_Item]) -> list[Any]:
    """Neighbours that are regular become one, since a greedy terminal leaves nothing to the next."""
    merged: list[_Item] = []
    for item in items:
        last = merged[-1] if merged else None
        if isinstance(item, _Regular) and isinstance(last, _Regular) and not last.lazy:
            merged[-1] = _Regular(f"{last.expression} {item.expression}", item.lazy)
        else:
            merged.append(item)
    return merged
