"""What schemathesis is told about our API: which models and ids there are, so that it gets further than a 404.

Loaded by schemathesis itself (`scripts/fuzz_api.py` says where it lies). A body with thirty drawn fields is always
refused for one of them, so most are thinned out: two drawn fields over a request that is right.
"""

from __future__ import annotations

import json
import os
from typing import Any
from zlib import crc32

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ.get("FUZZ_KNOWN", "{}"))
KEPT = 2  # drawn fields of a body that is thinned out
AS_DRAWN = 8  # every eighth body stays as it was drawn
ASKED = [{"role": "user", "content": "Hello"}]
RIGHT: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": ASKED},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/responses": {"input": "Hello"},
    "/v1/responses/input_tokens": {"input": "Hello"},
    "/v1/tokenize": {"prompt": "Hello"},
    "/v1/detokenize": {"tokens": [0]},
}


def _mark(drawn: object) -> int:
    """A number that is always the same for the same, so that failures can be shrunk and repeated."""
    return crc32(repr(drawn).encode("utf-8", "replace"))


def _of(name: str, drawn: object) -> Any:
    """One that there is in place of what was drawn, mostly."""
    there = KNOWN.get(name)
    return there[_mark(drawn) % len(there)] if there and _mark(drawn) % AS_DRAWN else drawn


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Ids that were made before the run."""
    return {name: _of(name, drawn) for name, drawn in (path_parameters or {}).items()}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Models that there are, and few fields at a time."""
    right = RIGHT.get(context.operation.path)
    if not isinstance(body, dict):
        return body
    if right is not None and _mark(body) % AS_DRAWN:
        chosen = sorted(body, key=lambda name: (body[name] is None, _mark((name, body[name]))))[:KEPT]
        body = {**right, **{name: body[name] for name in chosen}, "model": body.get("model", "")}
    known = {name: _of(name, body[name]) for name in body.keys() & KNOWN.keys() if isinstance(body[name], str)}
    return {**body, **known}
