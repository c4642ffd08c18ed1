"""Switches of a model's chat template, as requests give them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from fluid_server.errors import InvalidRequest

MAX_DEPTH = 16  # what is nested without end cannot be sent to a worker
RESERVED = {"messages", "tools", "add_generation_prompt", "continue_final_message"}


def check_template_kwargs(chosen: dict[str, Any]) -> dict[str, Any]:
    """Errors: InvalidRequest for what the server sets itself, and for what is nested too deeply."""
    if taken := RESERVED & chosen.keys():
        name = min(taken)
        raise InvalidRequest(
            f"'chat_template_kwargs.{name}' is set by the server.", param=f"chat_template_kwargs.{name}"
        )
    if _deeper(chosen, MAX_DEPTH):
        raise InvalidRequest(
            f"'chat_template_kwargs' is nested more than {MAX_DEPTH} levels deep.", param="chat_template_kwargs"
        )
    return chosen


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(item, levels - 1) for item in inside)


SWITCHES = 'switches of the model\'s chat template, such as {"enable_thinking": false}'
TemplateKwargs = Annotated[dict[str, Any], AfterValidator(check_template_kwargs)]
