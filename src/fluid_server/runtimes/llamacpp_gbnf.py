"""GBNF, llama.cpp's way to write grammars, is read and checked: llama.cpp itself gives no reason. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fluid_server.errors import InvalidRequest

DEEPEST = 100  # groups within groups
LARGEST = 65_536  # characters

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<define>::=)
    |(?P<name>[A-Za-z_][A-Za-z0-9_-]*)
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<class>\[(?:\\.|[^\]\\\n])+\])
    |(?P<count>\{\s*\d*\s*,?\s*\d*\s*\})
    |(?P<special>!?<[^<>\s]+>)
    |(?P<sign>[|()*+?.])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|(.)", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Text:
    """These characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a class, written as a regular expression."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What another rule stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Special:
    """A token by its text or id, such as ``<[7]>``, or any other than that, ``!<[7]>``."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class InOrder:
    """One after the other; nothing where there are no parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """The part, as often as ``sign`` says: ``*``, ``+``, ``?`` or ``{2,3}``."""

    part: Node
    sign: str


Node = Text | Character | Reference | Special | InOrder | OneOf | Repeated


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def read_gbnf(definition: str) -> Mapping[str, Node]:
    """The rules of a grammar by their names; it begins at ``root``.

    Errors: InvalidRequest that names the line and what is wrong there.
    """
    return _Reader(list(_tokens(definition))).rules()


def check_length(definition: str) -> None:
    """Errors: InvalidRequest for a grammar that is too long to be a person's."""
    if len(definition) > LARGEST:
        raise refused(f"it has {len(definition)} characters, and the limit is {LARGEST}")


def refused(reason: str, line: int | None = None) -> InvalidRequest:
    """What to tell about a grammar."""
    where = f" in line {line}" if line is not None else ""
    return InvalidRequest(f"The grammar cannot be used: {reason}{where}.", param="response_format")


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._known: set[str] = set()
        for one, following in itertools.pairwise(tokens):
            if one.kind == "name" and following.kind == "define":
                if one.text in self._known:
                    raise refused(f"the rule '{one.text}' is defined twice", one.line)
                self._known.add(one.text)
        if "root" not in self._known:
            raise refused("it has no rule 'root', where an answer begins")

    def rules(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while self._at < len(self._tokens):
            name, define = self._take(), self._take()
            if name.kind != "name" or define.kind != "define":
                raise refused(f"a rule 'name ::= …' is expected where '{name.text}' stands", name.line)
            found[name.text] = self._alternatives()
        return found

    def _alternatives(self) -> Node:
        options = [self._sequence()]
        while self._next("sign", "|"):
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else OneOf(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while (token := self._peek()) is not None and not self._ends(token):
            parts.append(self._counted(self._single()))
        return parts[0] if len(parts) == 1 else InOrder(tuple(parts))

    def _ends(self, token: _Token) -> bool:
        follows = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        starts_rule = token.kind == "name" and follows is not None and follows.kind == "define"
        return starts_rule or (token.kind == "sign" and token.text in "|)")

    def _single(self) -> Node:
        token = self._take()
        match token.kind:
            case "name":
                return self._reference(token)
            case "text":
                return Text(_text(token))
            case "class":
                return Character(_class(token))
            case "special":
                return Special(token.text, token.line)
            case "sign" if token.text in ".(":
                return self._group(token) if token.text == "(" else Character("(?s:.)")
        raise refused(f"'{token.text}' is not expected there", token.line)

    def _reference(self, token: _Token) -> Node:
        if token.text not in self._known:
            raise refused(f"the rule '{token.text}' is not defined", token.line)
        return Reference(token.text)

    def _group(self, opening: _Token) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise refused(f"groups are nested more than {DEEPEST} deep", opening.line)
        inner = self._alternatives()
        self._depth -= 1
        if not self._next("sign", ")"):
            raise refused("a group '(' is not closed", opening.line)
        self._at += 1
        return inner

    def _counted(self, node: Node) -> Node:
        while (token := self._peek()) is not None:
            if token.kind == "sign" and token.text in "*+?":
                node = Repeated(node, token.text)
            elif token.kind == "count":
                node = Repeated(node, _count(token))
            else:
                break
            self._at += 1
        return node

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, kind: str, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == kind and token.text == text

    def _take(self) -> _Token:
        token = self._peek()
        if token is None:
            raise refused("it ends in the middle of a rule", self._tokens[-1].line)
        self._at += 1
        return token


def _tokens(definition: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(definition):
        match = _TOKEN.match(definition, position)
        if match is None:
            raise refused(f"'{definition[position : position + 20].splitlines()[0]}' cannot be read", line)
        kind = str(match.lastgroup)
        if kind != "space":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")
        position = match.end()


def _count(token: _Token) -> str:
    least, comma, most = "".join(token.text[1:-1].split()).partition(",")
    if not least and not most:
        raise refused("a repetition has no number", token.line)
    return f"{{{least or 0}{comma}{most}}}"


def _text(token: _Token) -> str:
    text = "".join(_character(found) for found in _ESCAPED.finditer(token.text[1:-1]))
    if "\0" in text:  # none of the engines writes it
        raise refused("a text with the character 0 is not supported", token.line)
    return text


def _class(token: _Token) -> str:
    body = token.text[1:-1]
    negated = body.startswith("^")
    characters = [(found.group(), _character(found)) for found in _ESCAPED.finditer(body[negated:])]
    written, index = [], 0
    while index < len(characters):
        character = characters[index][1]
        if index + 2 < len(characters) and characters[index + 1][0] == "-":
            last = characters[index + 2][1]
            if last < character:
                raise refused(f"the range '{character}-{last}' is empty", token.line)
            written.append(f"{_hex(character)}-{_hex(last)}")
            index += 3
        else:
            written.append(_hex(character))
            index += 1
    return f"[{'^' if negated else ''}{''.join(written)}]"


def _character(found: re.Match[str]) -> str:
    escaped, plain = found.groups()
    if escaped is None:
        return str(plain)
    if len(escaped) > 1:
        number = int(escaped[1:], 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise refused(f"'\\{escaped}' is no character")
        return chr(number)
    return _CONTROLS.get(escaped, escaped)


def _hex(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"
