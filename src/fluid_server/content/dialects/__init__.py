"""How families of models write down their reasoning and their tool calls, and how that is read as it streams."""

from __future__ import annotations

from fluid_server.content.dialects.base import Argued, Called, Dialect, Heard, Reader, Said, Thought
from fluid_server.content.dialects.table import DIALECTS, recognise, skills

__all__ = ["DIALECTS", "Argued", "Called", "Dialect", "Heard", "Reader", "Said", "Thought", "recognise", "skills"]
