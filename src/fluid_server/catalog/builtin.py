"""The model that ships with the program: no weights, deterministic, for tests, doctor and benchmarks."""

from __future__ import annotations

from pathlib import Path

from fluid_server.types import Format, Kind, ModelSpec, Sampling

CONTEXT_LENGTH = 1_000_000
TEMPLATE = """\
{%- if tools %}
{{- 'tools: ' + tools | tojson + ' are called by <tool_call>{"name": …, "arguments": {…}}</tool_call>\\n' }}
{%- endif %}
{%- if enable_thinking is defined and enable_thinking %}{{- 'thinking: between <think> and </think>\\n' }}{%- endif %}
{%- for message in messages %}
{{- ('user' if message.role == 'tool' else message.role) + ': ' + message.content }}
{%- for call in message.tool_calls or [] %}
{%- set said = {'name': call.function.name, 'arguments': call.function.arguments} %}
{{- '<tool_call>\\n' + said | tojson + '\\n</tool_call>' }}
{%- endfor %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'echo: ' }}{%- endif %}
"""
"""Tools and thinking are announced before the messages, so that what the last of them says is still found.

What a tool has answered is said by the user: it is echoed in its turn, and a conversation with tools goes on.
"""


def echo_spec() -> ModelSpec:
    """The model ``echo``, which repeats the last user message."""
    return ModelSpec(
        id="echo",
        format=Format.BUILTIN,
        kind=Kind.TEXT,
        path=Path(),
        architecture="echo",
        context_length=CONTEXT_LENGTH,
        chat_template=TEMPLATE,
        sampling=Sampling(temperature=0.0),
    )
