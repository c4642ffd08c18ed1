"""The model that ships with the program: no weights, deterministic, for tests, doctor and benchmarks."""

from __future__ import annotations

from pathlib import Path

from fluid_server.types import Format, Kind, ModelSpec, Sampling

CONTEXT_LENGTH = 1_000_000
TEMPLATE = (
    "{%- for message in messages %}{{- message.role + ': ' + message.content + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- 'echo: ' }}{%- endif %}"
)


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
