"""GBNF, llama.cpp's way to write grammars, is read, checked and rewritten as rules of llguidance's Lark. Pure.

Every terminal becomes a single character: llguidance's lexer is greedy and would swallow with a longer one what GBNF
leaves to the next.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fluid_server.errors import InvalidRequest

DEEPEST = 100  # groups within groups
MOST = 1000  # repetitions: the limit of llama.cpp is near

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
_ID = re.compile(r"(!?)<\[(\d+)\]>")
_ESCAPED = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|(.)", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a", "0": "\0"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def lark_rules(definition: str, prefix: str) -> tuple[str, list[str]]:
    """The grammar as Lark rules whose names begin with ``prefix``, and the name of its root.

    Errors: InvalidRequest that names the line and what is wrong there.
    """
    reader = _Reader(list(_tokens(definition)), prefix)
    rules = reader.rules()
    return reader.known["root"], rules


def check(definition: str) -> None:
    """See that llama.cpp can read a grammar as it is: its own reason goes to stderr only. Errors: InvalidRequest."""
    _Reader(list(_tokens(definition)), "g", whole=True).rules()


class _Reader:
    """Recursive descent; each method returns what it read as a Lark expression."""

    def __init__(self, tokens: list[_Token], prefix: str, *, whole: bool = False) -> None:
        self._tokens = tokens
        self._whole = whole
        self._at = 0
        self._depth = 0
        self.known: dict[str, str] = {}
        for one, following in itertools.pairwise(tokens):
            if one.kind == "name" and following.kind == "define":
                if one.text in self.known:
                    raise _refused(f"the rule '{one.text}' is defined twice", one.line)
                self.known[one.text] = f"{prefix}_{len(self.known)}"
        if "root" not in self.known:
            raise _refused("it has no rule 'root', where an answer begins")

    def rules(self) -> list[str]:
        """All rules of the grammar."""
        found = []
        while self._at < len(self._tokens):
            name, define = self._take(), self._take()
            if name.kind != "name" or define.kind != "define":
                raise _refused(f"a rule 'name ::= …' is expected where '{name.text}' stands", name.line)
            found.append(f"{self.known[name.text]}: {self._alternatives()}")
        return found

    def _alternatives(self) -> str:
        options = [self._sequence()]
        while self._next("sign", "|"):
            self._at += 1
            options.append(self._sequence())
        return " | ".join(options)

    def _sequence(self) -> str:
        parts = []
        while (token := self._peek()) is not None and not self._ends(token):
            parts.append(self._counted(self._single()))
        return " ".join(parts) or '""'

    def _ends(self, token: _Token) -> bool:
        follows = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        starts_rule = token.kind == "name" and follows is not None and follows.kind == "define"
        return starts_rule or (token.kind == "sign" and token.text in "|)")

    def _single(self) -> str:
        token = self._take()
        match token.kind:
            case "name":
                return self._reference(token)
            case "text":
                characters = [_one(character) for character in _unescaped(token.text[1:-1])]
                return f"({' '.join(characters)})" if characters else '""'
            case "class":
                return _class(token)
            case "special":
                return self._special(token)
            case "sign" if token.text in ".(":
                return self._group(token) if token.text == "(" else "/(?s:.)/"
        raise _refused(f"'{token.text}' is not expected there", token.line)

    def _reference(self, token: _Token) -> str:
        if token.text not in self.known:
            raise _refused(f"the rule '{token.text}' is not defined", token.line)
        return self.known[token.text]

    def _special(self, token: _Token) -> str:
        if (found := _ID.fullmatch(token.text)) is not None:
            return f"<[{'^' if found[1] else ''}{found[2]}]>"
        if not self._whole:
            raise _refused(
                f"the token '{token.text}' must be named by its id, as <[7]>, within a larger answer", token.line
            )
        return '""'

    def _group(self, opening: _Token) -> str:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _refused(f"groups are nested more than {DEEPEST} deep", opening.line)
        inner = self._alternatives()
        self._depth -= 1
        if not self._next("sign", ")"):
            raise _refused("a group '(' is not closed", opening.line)
        self._at += 1
        return f"({inner})"

    def _counted(self, expression: str) -> str:
        while (token := self._peek()) is not None:
            if token.kind == "sign" and token.text in "*+?":
                expression = f"({expression}){token.text}"
            elif token.kind == "count":
                expression = f"({expression}){_count(token)}"
            else:
                break
            self._at += 1
        return expression

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, kind: str, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == kind and token.text == text

    def _take(self) -> _Token:
        token = self._peek()
        if token is None:
            raise _refused("it ends in the middle of a rule", self._tokens[-1].line if self._tokens else None)
        self._at += 1
        return token


def _tokens(definition: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(definition):
        match = _TOKEN.match(definition, position)
        if match is None:
            raise _refused(f"'{definition[position : position + 20].splitlines()[0]}' cannot be read", line)
        kind = str(match.lastgroup)
        if kind != "space":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")
        position = match.end()


def _count(token: _Token) -> str:
    least, comma, most = token.text[1:-1].replace(" ", "").partition(",")
    if not least and not most:
        raise _refused("a repetition has no number", token.line)
    if max(int(least or 0), int(most or 0)) > MOST:
        raise _refused(f"more than {MOST} repetitions are not supported", token.line)
    return f"{{{least or 0}{comma}{most}}}"


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
                raise _refused(f"the range '{character}-{last}' is empty", token.line)
            written.append(f"{_hex(character)}-{_hex(last)}")
            index += 3
        else:
            written.append(_hex(character))
            index += 1
    return f"/[{'^' if negated else ''}{''.join(written)}]/"


def _unescaped(text: str) -> str:
    return "".join(_character(found) for found in _ESCAPED.finditer(text))


def _character(found: re.Match[str]) -> str:
    escaped, plain = found.groups()
    if escaped is None:
        return str(plain)
    if len(escaped) > 1:
        number = int(escaped[1:], 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise _refused(f"'\\{escaped}' is no character")
        return chr(number)
    return _CONTROLS.get(escaped, escaped)


def _one(character: str) -> str:
    return f"/[{_hex(character)}]/"


def _hex(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"


def _refused(reason: str, line: int | None = None) -> InvalidRequest:
    where = f" in line {line}" if line is not None else ""
    return InvalidRequest(f"The grammar cannot be used: {reason}{where}.", param="response_format")
