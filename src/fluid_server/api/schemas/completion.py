"""Text completion requests: one prompt or several, as text or as token ids."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from fluid_server.api.schemas.fields import COMPLETION, Contract
from fluid_server.api.schemas.generate import GenerateBody
from fluid_server.errors import UnsupportedField
from fluid_server.types import GenerateRequest

OPENAI_MAX_TOKENS = 16  # OpenAI's documented default for this endpoint
MAX_PROMPTS = 128
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Tokens = Annotated[list[TokenId], Field(fail_fast=True, min_length=1, max_length=2**20)]
Several = Annotated[
    Annotated[list[str], Field(fail_fast=True)] | Annotated[list[Tokens], Field(fail_fast=True)],
    Field(min_length=1, max_length=MAX_PROMPTS),
]


class CompletionBody(GenerateBody):
    """POST /v1/completions."""

    contract: ClassVar[Contract] = COMPLETION

    prompt: str | Tokens | Several = Field(description="one text, or token ids, or up to 128 of either")
    echo: bool | None = Field(None, description="begin each answer with its prompt")

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts, each as text or token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        several: list[str | list[int]] = [item for item in self.prompt if not isinstance(item, int)]
        return several or [[item for item in self.prompt if isinstance(item, int)]]

    def as_requests(self, max_choices: int) -> list[GenerateRequest]:
        """One request for each prompt. Errors: InvalidRequest naming the field."""
        if self.echo and not all(isinstance(prompt, str) for prompt in self.prompts):
            raise UnsupportedField("'echo' is only supported for prompts that are text.", param="echo")
        return [
            GenerateRequest(
                text=prompt if isinstance(prompt, str) else None,
                tokens=tuple(prompt) if not isinstance(prompt, str) else None,
                sampling=self.sampling,
                max_tokens=self.max_tokens if self.max_tokens is not None else OPENAI_MAX_TOKENS,
                stop=self.stops,
                n=self.choices(max_choices),
                ignore_eos=bool(self.ignore_eos),
            )
            for prompt in self.prompts
        ]
