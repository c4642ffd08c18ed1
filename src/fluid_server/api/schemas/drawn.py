"""How tokens are drawn, and which texts end an answer: the same fields wherever text is asked for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.strict import Strict
from fluid_server.errors import InvalidRequest
from fluid_server.types import Sampling

MAX_STOPS = 4
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class Drawn(Strict):
    """The fields of sampling, and stop texts."""

    temperature: float | None = Field(None, ge=0, le=2, description="0 is greedy; default: the model's own")
    top_p: float | None = Field(None, ge=0, le=1, description="nucleus sampling; default: the model's own")
    top_k: int | None = Field(None, ge=0, lt=2**31, description="the k likeliest tokens only; 0: all")
    min_p: float | None = Field(None, ge=0, le=0.999, description="drop tokens below this share of the likeliest")
    repetition_penalty: float | None = Field(None, ge=0.01, le=10, description="multiplicative; 1 is none")
    presence_penalty: Penalty | None = Field(None, description="additive, once a token has been said")
    frequency_penalty: Penalty | None = Field(None, description="additive, for each time a token has been said")
    seed: int | None = Field(None, ge=-(2**63), lt=2**64, description="same seed, same draw, as far as batching allows")
    stop: Stop | Annotated[list[Stop], Field(fail_fast=True)] | None = Field(
        None, description="up to 4 texts that end the answer and are not part of it"
    )

    @model_validator(mode="after")
    def _few_stops(self) -> Self:
        if isinstance(self.stop, list) and len(self.stop) > MAX_STOPS:
            raise InvalidRequest(f"'stop' may hold at most {MAX_STOPS} texts.", param="stop")
        return self

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn, as far as the client says."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=self.seed,
        )

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts as a tuple."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
