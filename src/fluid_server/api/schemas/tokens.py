"""Requests about tokens: a text's, a chat's, and back."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.chat import ChatMessage
from fluid_server.api.schemas.completion import Tokens
from fluid_server.api.schemas.generate import MAX_ITEMS, OfModel, check_text
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.tools import MAX_TOOLS, ChatTool, chat_tool_use
from fluid_server.errors import InvalidRequest
from fluid_server.types import GenerateRequest, TokenizeRequest


class TokenizeBody(OfModel):
    """POST /v1/tokenize: of a text, or of a chat as its model would get it."""

    prompt: str | None = Field(None, description="a text; exactly one of `prompt` and `messages` must be given")
    messages: Annotated[list[ChatMessage], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)] | None = Field(
        None, description="a chat, whose template's own tokens are counted too"
    )
    tools: Annotated[list[ChatTool], Field(fail_fast=True, max_length=MAX_TOOLS)] | None = Field(
        None, description="tools that the chat would be sent with"
    )
    add_special_tokens: bool = Field(True, description="of a text: with what the tokenizer puts around it (BOS)")
    add_generation_prompt: bool = Field(True, description="of a chat: with the beginning of the assistant's turn")
    pieces: bool = Field(False, description="with the text of each token")
    keep_alive: KeepAlive = None

    @model_validator(mode="before")
    @classmethod
    def _writable(cls, body: Any) -> Any:
        if isinstance(body, dict):
            check_text(body)
        return body

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest("Give exactly one of 'prompt' and 'messages'.", param="prompt")
        if self.tools and self.messages is None:
            raise InvalidRequest("'tools' are only allowed with 'messages'.", param="tools")
        return self

    def as_request(self) -> TokenizeRequest:
        """The body as what flows. Errors: InvalidRequest naming the field."""
        return TokenizeRequest(prompt=self._prompt(), special=self.add_special_tokens, pieces=self.pieces)

    def _prompt(self) -> GenerateRequest:
        if self.messages is None:
            return GenerateRequest(text=self.prompt)
        return GenerateRequest(
            messages=tuple(message.as_message(index) for index, message in enumerate(self.messages)),
            tool_use=chat_tool_use(self.tools, None, parallel=None),
            add_generation_prompt=self.add_generation_prompt,
        )


class DetokenizeBody(OfModel):
    """POST /v1/detokenize."""

    tokens: Tokens = Field(description="token ids")
    keep_alive: KeepAlive = None

    def as_request(self) -> TokenizeRequest:
        """The body as what flows."""
        return TokenizeRequest(ids=tuple(self.tokens))
