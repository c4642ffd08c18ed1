"""What every body is made of: a model that does not guess, and parts that many endpoints share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Types are not guessed: a number as a string is an error, as with OpenAI."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
