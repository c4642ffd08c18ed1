"""Text completion requests: one prompt or several, as text or as token ids."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.fields import COMPLETION, Contract
from fluid_server.api.schemas.generate import GenerateBody
from fluid_server.errors import InvalidRequest, UnsupportedField
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
    suffix: str | None = Field(
        None, description="what follows the gap to fill, for models that have tokens for filling in the middle"
    )
    logprobs: int | None = Field(
        None, ge=0, le=5, description="each token with its log probability, and that many of the likeliest"
    )
    best_of: int | None = Field(
        None, ge=1, description="draw that many and answer with the n that have the best log probability a token"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.echo and self.logprobs is not None:
            raise UnsupportedField(
                "'logprobs' with 'echo' is not supported: engines here give no log probabilities of a prompt.",
                param="logprobs",
            )
        if self.echo and self.suffix:
            raise UnsupportedField("'echo' and 'suffix' cannot both be given.", param="echo")
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompts):
            raise UnsupportedField("'suffix' is only supported for prompts that are text.", param="suffix")
        if self.best_of is not None:
            self._check_best_of(self.best_of)
        return self

    def _check_best_of(self, best_of: int) -> None:
        if best_of < (self.n or 1):
            raise InvalidRequest(f"'best_of' must be at least 'n' ({self.n or 1}).", param="best_of")
        if self.stream and best_of > 1:
            raise InvalidRequest("'best_of' is only allowed when 'stream' is false.", param="best_of")

    @property
    def drawn(self) -> int:
        """How many answers to a prompt are drawn, of which the best ``n`` are kept."""
        return max(self.n or 1, self.best_of or 1)

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
                n=self._drawn(max_choices),
                ignore_eos=bool(self.ignore_eos),
                suffix=self.suffix or None,
                shape=self.wished_shape,
                logprobs=self._logprobs,
                logit_bias=self.biases,
            )
            for prompt in self.prompts
        ]

    @property
    def _logprobs(self) -> int | None:
        """To find the best, the log probability of each token must be known."""
        return 0 if self.logprobs is None and self.drawn > (self.n or 1) else self.logprobs

    def _drawn(self, most: int) -> int:
        n = self.choices(most)
        if self.drawn > most:
            raise InvalidRequest(f"'best_of' may be at most {most} on this server (got {self.drawn}).", param="best_of")
        return max(n, self.drawn)
