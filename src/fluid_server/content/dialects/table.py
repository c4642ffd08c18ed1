"""Which dialect a model writes: by name, or read off its chat template."""

from __future__ import annotations

from fluid_server.content.dialects.base import Dialect
from fluid_server.content.dialects.hermes import Hermes
from fluid_server.content.dialects.plain import Plain

DIALECTS: dict[str, Dialect] = {one.name: one for one in (Plain(), Hermes())}


def recognise(template: str | None) -> Dialect:
    """The dialect that a chat template teaches; Plain where it teaches none that is known."""
    if template is not None and ("<tool_call>" in template or "<think>" in template):
        return DIALECTS["hermes"]
    return DIALECTS["plain"]


def skills(template: str | None, name: str | None = None) -> frozenset[str]:
    """What a chat template lets a model do: tools, reasoning. ``name`` is a dialect's, where one is set."""
    dialect = DIALECTS.get(name) if name is not None else None
    dialect = dialect or recognise(template)
    found = {"reasoning"} if dialect.opening else set()
    if dialect.name != "plain" and "tools" in (template or ""):
        found.add("tools")
    return frozenset(found)
