"""What chat and text completion have in common: sampling, limits, streaming."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.fields import Contract
from fluid_server.api.schemas.formats import StructuredOutputs
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.strict import Strict
from fluid_server.errors import InvalidRequest
from fluid_server.shapes import Shape
from fluid_server.types import Sampling

MAX_STOPS = 4
DEEPEST = 280  # levels of a body: the deepest schema that is let pass, and what stands around it
MAX_ITEMS = 100_000  # of a list in a request; more are refused before they are looked at one by one
Penalty = Annotated[float, Field(ge=-2, le=2)]
TokenKey = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class StreamOptions(Strict):
    """What a stream says besides the text."""

    include_usage: bool = False
    include_obfuscation: bool = Field(False, description="accepted; nothing is padded on a local connection")


class GenerateBody(Strict):
    """The fields that every request for text may have."""

    contract: ClassVar[Contract]

    model: str = Field(min_length=1, max_length=256, description="a model's id, as GET /v1/models lists it")
    temperature: float | None = Field(None, ge=0, le=2, description="0 is greedy; default: the model's own")
    top_p: float | None = Field(None, ge=0, le=1, description="nucleus sampling; default: the model's own")
    top_k: int | None = Field(None, ge=0, lt=2**31, description="the k likeliest tokens only; 0: all")
    min_p: float | None = Field(None, ge=0, le=0.999, description="drop tokens below this share of the likeliest")
    repetition_penalty: float | None = Field(None, ge=0.01, le=10, description="multiplicative; 1 is none")
    presence_penalty: Penalty | None = Field(None, description="additive, once a token has been said")
    frequency_penalty: Penalty | None = Field(None, description="additive, for each time a token has been said")
    seed: int | None = Field(None, ge=-(2**63), lt=2**64, description="same seed, same draw, as far as batching allows")
    max_tokens: int | None = Field(None, ge=1, description="limit of the answer in tokens; default: the context")
    stop: Stop | Annotated[list[Stop], Field(fail_fast=True)] | None = Field(
        None, description="up to 4 texts that end the answer and are not part of it"
    )
    n: int | None = Field(None, ge=1, description="answers to one prompt")
    stream: bool | None = Field(None, description="answer as server-sent events, the last one `[DONE]`")
    stream_options: StreamOptions | None = Field(None, description="only with `stream`")
    ignore_eos: bool | None = Field(None, description="go on after the model's end token, up to max_tokens")
    logit_bias: dict[TokenKey, Bias] | None = Field(
        None, description="added to a token's logit, by token id: -100 bans it, 100 all but forces it"
    )
    structured_outputs: StructuredOutputs | None = Field(
        None, description="one of `json` (a schema), `regex`, `choice` and `grammar` (GBNF or Lark), as vLLM has it"
    )
    keep_alive: KeepAlive = None
    user: str | None = Field(None, description="requests of different users take turns where they have to wait")

    @model_validator(mode="before")
    @classmethod
    def _by_contract(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        check_text(body)
        return cls.contract.check(body)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
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

    @property
    def biases(self) -> dict[int, float]:
        """``logit_bias`` by number."""
        return {int(token): float(bias) for token, bias in (self.logit_bias or {}).items()}

    @property
    def wished_shape(self) -> Shape | None:
        """What ``structured_outputs`` wants. Errors: InvalidRequest naming the part that cannot be enforced."""
        return self.structured_outputs.as_shape() if self.structured_outputs is not None else None

    @property
    def end_user(self) -> str:
        """Whom the request is for, where the client says so."""
        return self.user or ""

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def choices(self, most: int) -> int:
        """``n``, checked against the server's limit. Errors: InvalidRequest."""
        n = self.n or 1
        if n > most:
            raise InvalidRequest(f"'n' may be at most {most} on this server (got {n}).", param="n")
        return n


def check_text(body: dict[str, Any]) -> None:
    """Refuse what JSON can hold and nothing behind the door can: half characters, hundreds of levels.

    Errors: InvalidRequest.
    """
    for name, value in body.items():
        if nests_deeper(value, DEEPEST):
            param = name if name.isprintable() else None
            raise InvalidRequest(f"'{param}' is nested more than {DEEPEST} levels deep.", param=param)
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise InvalidRequest(
            f"The body holds half of a character ({half}, a lone surrogate), which is no text.", code="invalid_unicode"
        ) from None


def nests_deeper(value: object, most: int) -> bool:
    """Whether JSON has more levels than these, found without recursion."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for one in level for inner in _inside(one)]
    return bool(level)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
