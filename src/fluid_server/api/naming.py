"""Runtimes refuse by the names of chat requests; what a client has sent may be called otherwise."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from fluid_server.errors import InvalidRequest


@contextmanager
def named_as(names: Mapping[str, str]) -> Generator[None]:
    """Failures that name one of the fields name the client's instead."""
    try:
        yield
    except InvalidRequest as error:
        param = error.param or ""
        if param not in names:
            raise
        name = names[param]
        message = error.message.replace(f"'{param}'", f"'{name}'").replace(f"the {param} ", f"the {name} ")
        raise type(error)(message, param=name, code=error.code) from error
