"""What chat and text completion have in common: sampling, limits, streaming."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.drawn import Drawn
from fluid_server.api.schemas.fields import Contract
from fluid_server.api.schemas.formats import StructuredOutputs
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.strict import Strict
from fluid_server.errors import InvalidRequest
from fluid_server.shapes import Shape

DEEPEST = 280  # levels of a body: the deepest schema that is let pass, and what stands around it
MAX_ITEMS = 100_000  # of a list in a request; more are refused before they are looked at one by one
TokenKey = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]


class StreamOptions(Strict):
    """What a stream says besides the text."""

    include_usage: bool = False
    include_obfuscation: bool = Field(False, description="accepted; nothing is padded on a local connection")


class OfModel(Strict):
    """Which model is asked."""

    model: str = Field(min_length=1, max_length=256, description="a model's id, as GET /v1/models lists it")


class ByContract(OfModel):
    """A body whose fields are OpenAI's: ``contract`` says what becomes of each."""

    contract: ClassVar[Contract]

    @model_validator(mode="before")
    @classmethod
    def _by_contract(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        check_text(body)
        return cls.contract.check(body)


class GenerateBody(Drawn, ByContract):
    """The fields that every request for text may have."""

    max_tokens: int | None = Field(None, ge=1, description="limit of the answer in tokens; default: the context")
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
        return self

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
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
