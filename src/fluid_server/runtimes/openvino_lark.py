"""Lark grammars become EBNF: rules, terminals, texts, expressions, counts. What does not go over is refused by name.

A Lark parser works on tokens and may skip some of them (``%ignore``); a grammar that an answer is held to describes
its characters, so that is refused rather than guessed at. What only shapes Lark's trees (``?rule``, ``-> alias``) is
read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fluid_server.content.ebnf import EMPTY, Rules, character_class, counted, literal, one_of
from fluid_server.content.regex import CONTROLS, parse_regex
from fluid_server.content.regex_grammar import regex_text
from fluid_server.errors import UnsupportedField

PARAM = "tools"
MOST_REPEATS = 10_000
DEEPEST = 100  # groups within groups
TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\f\r]+|//[^\n]*|\#[^\n]*)
  | (?P<newline>\n)
  | (?P<text>"(?:\\.|[^"\\\n])*"i?)
  | (?P<regex>/(?!/)(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/[imslux]*)
  | (?P<range>\.\.)
  | (?P<arrow>->)
  | (?P<directive>%[a-z]+)
  | (?P<number>\d+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>[:|()\[\]?!*+~.,{}])
    """,
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))")
# The terminals that come with Lark, as far as their names are used without their grammar.
COMMON = {
    "DIGIT": "[0-9]",
    "HEXDIGIT": "[0-9a-fA-F]",
    "INT": "[0-9]+",
    "SIGNED_INT": r"[+\-]?[0-9]+",
    "DECIMAL": r"[0-9]+\.[0-9]*|\.[0-9]+",
    "FLOAT": r"[0-9]+([eE][+\-]?[0-9]+)|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+\-]?[0-9]+)?",
    "NUMBER": r"[0-9]+(\.[0-9]*)?([eE][+\-]?[0-9]+)?|\.[0-9]+([eE][+\-]?[0-9]+)?",
    "SIGNED_NUMBER": r"[+\-]?([0-9]+(\.[0-9]*)?([eE][+\-]?[0-9]+)?|\.[0-9]+([eE][+\-]?[0-9]+)?)",
    "ESCAPED_STRING": r'"([^"\\\n]|\\.)*"',
    "LCASE_LETTER": "[a-z]",
    "UCASE_LETTER": "[A-Z]",
    "LETTER": "[A-Za-z]",
    "WORD": "[A-Za-z]+",
    "CNAME": "[A-Za-z_][A-Za-z0-9_]*",
    "WS_INLINE": r"[ \t]+",
    "WS": r"[ \t\f\r\n]+",
    "CR": r"\r",
    "LF": r"\n",
    "NEWLINE": r"(\r?\n)+",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def lark_expression(rules: Rules, definition: str) -> str:
    """An expression for the same language. Errors: UnsupportedField that names what does not go over."""
    return _Translator(rules, list(_tokens(definition))).run()


def _tokens(definition: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(definition):
        found = TOKEN.match(definition, at)
        if found is None:
            raise _refused(line, f"{definition[at]!r} cannot be read")
        at = found.end()
        kind = str(found.lastgroup)
        if kind != "skip":
            yield _Token(kind, found.group(), line)
        line += found.group().count("\n")
    yield _Token("newline", "\n", line)
    yield _Token("end", "", line)


def _refused(line: int, what: str) -> UnsupportedField:
    return UnsupportedField(f"The Lark grammar cannot be enforced by OpenVINO: line {line}, {what}.", param=PARAM)


class _Translator:
    """Recursive descent over the tokens; each rule and terminal becomes a rule of the same meaning."""

    def __init__(self, rules: Rules, tokens: list[_Token]) -> None:
        self._rules = rules
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._names: dict[str, str] = {}
        self._used: dict[str, int] = {}
        self._defined: set[str] = set()

    def run(self) -> str:
        """The name of the rule to begin at."""
        while self._peek.kind != "end":
            if self._take("newline") is None:
                self._statement()
        if "start" not in self._defined:
            raise _refused(1, "it has no rule 'start' to begin at")
        for name, line in self._used.items():
            if name not in self._defined:
                raise _refused(line, f"'{name}' is not defined")
        return self._names["start"]

    def _statement(self) -> None:
        while self._sign("?") or self._sign("!"):  # they shape Lark's trees
            pass
        token = self._next()
        if token.kind == "directive":
            self._directive(token)
            return
        if token.kind != "name":
            raise _refused(token.line, f"a rule must begin with its name, not {token.text!r}")
        name = token.text
        if name in self._defined:
            raise _refused(token.line, f"'{name}' is defined twice")
        if self._sign("."):  # a priority, for a parser that must choose
            self._expect("number")
        if self._peek.text == "{":
            raise _refused(token.line, "templates are not supported")
        if not self._sign(":"):
            raise _refused(token.line, f"':' is missing behind '{token.text}'")
        self._defined.add(name)
        self._rules.define(self._name(name), self._options())
        self._expect("newline")

    def _directive(self, token: _Token) -> None:
        if token.text != "%import":
            raise _refused(token.line, f"'{token.text}' is not supported")
        if self._expect("name").text != "common" or not self._sign("."):
            raise _refused(token.line, "only terminals of 'common' can be imported")
        name = self._expect("name").text
        if name not in COMMON:
            raise _refused(token.line, f"'common.{name}' is not known")
        alias = self._expect("name").text if self._take("arrow") else name
        self._defined.add(alias)
        self._rules.define(self._name(alias), regex_text(self._rules, parse_regex(COMMON[name])))
        self._expect("newline")

    # --- expressions -------------------------------------------------------------------------------------

    def _options(self) -> str:
        options = [self._sequence()]
        while self._continues() and self._sign("|"):
            options.append(self._sequence())
        return one_of(options)

    def _continues(self) -> bool:
        """Whether a '|' comes next; it may stand on a line of its own."""
        at = self._at
        while self._tokens[at].kind == "newline":
            at += 1
        if self._tokens[at].text == "|":
            self._at = at
        return self._peek.text == "|"

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._peek.kind in ("text", "regex", "name") or self._peek.text in ("(", "["):
            parts.append(self._counted(self._atom()))
        if self._take("arrow"):
            self._expect("name")
        return " ".join(parts) or EMPTY

    def _counted(self, part: str) -> str:
        for sign, bounds in (("?", (0, 1)), ("*", (0, None)), ("+", (1, None))):
            if self._sign(sign):
                return counted(self._rules, [part], *bounds)
        if not self._sign("~"):
            return part
        least = most = int(self._expect("number").text)
        if self._take("range"):
            most = int(self._expect("number").text)
        if not least <= most <= MOST_REPEATS:
            raise _refused(self._peek.line, f"the count ~{least}..{most} is not possible")
        return counted(self._rules, [part], least, most)

    def _atom(self) -> str:
        token = self._next()
        if token.kind == "text":
            return self._text(token)
        if token.kind == "regex":
            return self._regex(token)
        if token.kind == "name":
            if self._peek.text == "{":
                raise _refused(token.line, "templates are not supported")
            self._used.setdefault(token.text, token.line)
            return self._name(token.text)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _refused(token.line, f"groups are nested more than {DEEPEST} deep")
        inner = self._options()
        self._depth -= 1
        closing = ")" if token.text == "(" else "]"
        self._skip_newlines()
        if not self._sign(closing):
            raise _refused(token.line, f"'{token.text}' is not closed")
        return counted(self._rules, [inner], 0, 1) if closing == "]" else f"({inner})"

    def _text(self, token: _Token) -> str:
        text = _unquoted(token)
        if self._take("range"):
            last = _unquoted(self._expect("text"))
            if len(text) != 1 or len(last) != 1 or last < text:
                raise _refused(token.line, "a range goes from one character to a later one")
            return character_class(((ord(text), ord(last)),))
        if not token.text.endswith("i"):
            return literal(text)
        return " ".join(one_of([literal(one.lower()), literal(one.upper())]) for one in text) or EMPTY

    def _regex(self, token: _Token) -> str:
        pattern, _, flags = token.text[1:].rpartition("/")
        if flags:
            raise _refused(token.line, f"the flags '{flags}' of an expression are not supported")
        try:
            return regex_text(self._rules, parse_regex(pattern.replace("\\/", "/")))
        except ValueError as error:
            raise _refused(token.line, f"the expression /{pattern}/ cannot be used: {error}") from error

    # --- tokens ------------------------------------------------------------------------------------------

    def _name(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = self._rules.name("lark")
        return self._names[name]

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._peek
        self._at += token.kind != "end"
        return token

    def _take(self, kind: str) -> _Token | None:
        return self._next() if self._peek.kind == kind else None

    def _sign(self, text: str) -> bool:
        if self._peek.kind != "sign" or self._peek.text != text:
            return False
        self._at += 1
        return True

    def _expect(self, kind: str) -> _Token:
        token = self._next()
        if token.kind != kind:
            raise _refused(token.line, f"{token.text.strip() or 'the end of a line'!r} was not expected there")
        return token

    def _skip_newlines(self) -> None:
        while self._take("newline"):
            pass


def _unquoted(token: _Token) -> str:
    inner = token.text.removesuffix("i")[1:-1]
    return ESCAPE.sub(_unescaped, inner)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else CONTROLS.get(found[3], found[3])
