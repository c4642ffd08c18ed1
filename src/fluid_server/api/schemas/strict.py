"""What every body is made of: a model that does not guess, and parts that many endpoints share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Types are not guessed: a number as a string is an error, as with OpenAI."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


MOST_LABELS, LONGEST_NAME = 16, 64
LONGEST_LABEL = 8 * LONGEST_NAME
Label = Annotated[str, Field(max_length=LONGEST_LABEL)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=LONGEST_NAME)], Label], Field(max_length=MOST_LABELS)]
