"""The table, tried on the session's server: each case once a model, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from scripts.contract.case import Case, Verdict
from scripts.contract.sending import Server
from scripts.contract.typed import Published
from tests.front_door import GGUF, OPENVINO, RunningServer
from tests.published import OPENAPI

ENGINES = (OPENVINO, GGUF)


class Trial:
    """Verdicts of both engines."""

    def __init__(self, servers: dict[str, Server]) -> None:
        self._servers = servers
        self.verdict = cache(self._verdict)

    def _verdict(self, model: str, case: Case) -> Verdict:
        return self._servers[model].try_case(case)


@contextmanager
def trial(server: RunningServer) -> Generator[Trial]:
    """A trial of a running server; answers are held against the published schemas where they are at hand."""
    published = Published(OPENAPI) if OPENAPI.is_file() else None
    servers = {model: Server(server.base_url, model=model, published=published) for model in ENGINES}
    try:
        yield Trial(servers)
    finally:
        for one in servers.values():
            one.close()
