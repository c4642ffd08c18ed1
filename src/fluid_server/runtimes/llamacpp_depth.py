"""How deep the rules of a Lark grammar lead to each other: llguidance follows them on its thread's stack. Pure.

The thread is llama.cpp's own, so its stack cannot be chosen. Where it is not enough the whole process dies.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from fluid_server.errors import InvalidRequest

STACKS = {"linux": 8192, "win32": 1024}  # KiB that a thread has; 512 elsewhere
LEVEL = 8  # KiB a level, where 6.3 were measured with the worst grammar
DEEPEST = STACKS.get(sys.platform, 512) // LEVEL
_PASSED_OVER = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/(?:\\.|[^/\\\n])+/|<\[[^\]]*\]>')
_DEFINITION = re.compile(r"^\s*[?!]*([A-Za-z_]\w*)[^\n:|]*:", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*")


def check_depth(lark: str, *, most: int = DEEPEST) -> None:
    """Errors: InvalidRequest for a grammar whose rules, or groups, are over so many levels deep."""
    plain = _PASSED_OVER.sub(" ", lark)
    if _deepest(_references(plain)) + _groups(plain) > most:
        raise InvalidRequest(
            f"This is nested more than {most} levels deep as a grammar, for which llama.cpp has no room. Each optional "
            "or required property of an object is a level: split large objects, and simplify the grammar.",
            param="response_format",
        )


def _references(plain: str) -> Mapping[str, Sequence[str]]:
    """What each rule and terminal refers to."""
    found = list(_DEFINITION.finditer(plain))
    ends = [one.start() for one in found[1:]] + [len(plain)]
    names = {one[1] for one in found}
    return {
        one[1]: [name for name in _NAME.findall(plain, one.end(), end) if name in names]
        for one, end in zip(found, ends, strict=True)
    }


def _deepest(references: Mapping[str, Sequence[str]]) -> int:
    """How many are under way at once, when each is followed at the first place where it stands."""
    deepest, known = 0, set[str]()
    for first in references:
        under_way = [iter([first])]
        while under_way:
            name = next(under_way[-1], None)
            if name is None:
                under_way.pop()
            elif name not in known:
                known.add(name)
                under_way.append(iter(references[name]))
                deepest = max(deepest, len(under_way) - 1)
    return deepest


def _groups(plain: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[()]", plain):
        depth += 1 if sign == "(" else -1
        deepest = max(deepest, depth)
    return deepest
