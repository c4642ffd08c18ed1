"""Embedding requests: one text or several, as text or as token ids; and vectors as JSON."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import to_json

from fluid_server.api.schemas.completion import Tokens
from fluid_server.api.schemas.fields import EMBEDDING, Contract
from fluid_server.api.schemas.generate import ByContract
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.errors import InvalidRequest
from fluid_server.types import Embedded, EmbedRequest, Usage

MAX_INPUTS = 2048
MAX_IDS = 300_000  # tokens that OpenAI takes in one request
TEXT, TEXTS, IDS, LISTS = "a text", "several texts", "token ids", "lists of token ids"


def _form(value: object) -> str | None:
    """What an input is meant to be, by what it begins with: so a refusal speaks of that and of nothing else."""
    if isinstance(value, str):
        return TEXT
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    return IDS if isinstance(first, int) else LISTS if isinstance(first, list) else TEXTS


def _check_count(value: object) -> None:
    """Errors: InvalidRequest where there are too many entries to be looked at.

    To look at each holds up everybody else: 4 million ids, 8 MB, took 3 seconds.
    """
    if not isinstance(value, list):
        return
    count = len(value)
    if count <= MAX_IDS:
        count = sum(len(one) if isinstance(one, list) else 1 for one in value)
    if count > MAX_IDS:
        raise InvalidRequest(
            f"'input' holds {count} entries in all, but a request takes at most {MAX_INPUTS} texts or {MAX_IDS} token "
            "ids. Send it in parts.",
            param="input",
        )


AtOnce = Field(fail_fast=True, min_length=1, max_length=MAX_INPUTS)
Inputs = Annotated[
    Annotated[str, Tag(TEXT)]
    | Annotated[list[str], AtOnce, Tag(TEXTS)]
    | Annotated[Tokens, Tag(IDS)]
    | Annotated[list[Tokens], AtOnce, Tag(LISTS)],
    Discriminator(
        _form,
        custom_error_type="input_type",
        custom_error_message="Input should be a text, a list of texts, token ids or a list of lists of token ids",
    ),
]


class EmbeddingBody(ByContract):
    """POST /v1/embeddings."""

    contract: ClassVar[Contract] = EMBEDDING

    input: Inputs = Field(
        description=f"one text, or token ids as they stand, or up to {MAX_INPUTS:,} of either; none may be empty, and "
        f"there may be {MAX_IDS:,} ids in all"
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: of float32 numbers, little-endian"
    )
    dimensions: int | None = Field(
        None, ge=1, description="keep a vector's first so many numbers; for models that were trained for it"
    )
    user: str | None = Field(None, description="requests of different users take turns where they have to wait")
    keep_alive: KeepAlive = None

    @model_validator(mode="before")
    @classmethod
    def _few_enough(cls, body: Any) -> Any:
        """Before the contract's look at them."""
        if isinstance(body, dict):
            _check_count(body.get("input"))
        return body

    @field_validator("input")
    @classmethod
    def _not_empty(cls, value: str | list[Any]) -> str | list[Any]:
        empty = next((f"[{index}]" for index, one in enumerate(value) if one == ""), None)
        if not value or empty is not None:
            name = f"input{empty or ''}"
            raise InvalidRequest(f"'{name}' is empty: there is nothing to embed.", param=name)
        return value

    def as_request(self) -> EmbedRequest:
        """The body as what flows."""
        return EmbedRequest(inputs=self._inputs, dimensions=self.dimensions)

    @property
    def _inputs(self) -> tuple[str | tuple[int, ...], ...]:
        if isinstance(self.input, str):
            return (self.input,)
        several = tuple(one if isinstance(one, str) else tuple(one) for one in self.input if not isinstance(one, int))
        return several or (tuple(one for one in self.input if isinstance(one, int)),)


class EmbeddingObject(BaseModel):
    """One input's vector, of length 1; with an ``encoding_format`` of base64 it is a text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Exact token counts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingUsage


def written(one: Embedded, form: str) -> bytes:
    """One EmbeddingObject as JSON. Written as soon as it comes: all at once would hold up everybody else."""
    if form == "base64":
        vector = b'"' + b64encode(one.vector) + b'"'
    else:
        vector = to_json(struct.unpack(f"<{len(one.vector) // 4}f", one.vector))
    return b'{"object":"embedding","index":%d,"embedding":%s}' % (one.index, vector)


def listed(objects: list[bytes], model: str, usage: Usage) -> bytes:
    """An EmbeddingList as JSON, from written objects in their order."""
    counts = {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}
    data = b",".join(objects)
    return b'{"object":"list","data":[%s],"model":%s,"usage":%s}' % (data, to_json(model), to_json(counts))
