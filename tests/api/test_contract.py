"""Our lists of fields and our answers, held against the official package and OpenAI's own description."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.audio import speech_create_params, transcription_create_params
from openai.types.chat import completion_create_params as chat_create_params

from fluid_server.api.schemas.chat import ChatBody
from fluid_server.api.schemas.completion import CompletionBody
from fluid_server.api.schemas.embeddings import EmbeddingBody
from fluid_server.api.schemas.fields import CHAT, COMPLETION, EMBEDDING, SPEAKING, TRANSCRIPTION, Contract
from fluid_server.api.schemas.speech import SpeechBody
from fluid_server.api.schemas.transcription import TranscriptionForm
from tests.front_door import AUDIO, ECHO, GGUF, OPENVINO, WHISPER
from tests.published import conforms, fields_of

STREAM = {"stream"}  # the package has it in the two variants of its base class
CONTRACTS = [
    pytest.param(CHAT, chat_create_params.CompletionCreateParamsBase, "CreateChatCompletionRequest", id="chat"),
    pytest.param(
        COMPLETION, completion_create_params.CompletionCreateParamsBase, "CreateCompletionRequest", id="completion"
    ),
    pytest.param(
        TRANSCRIPTION,
        transcription_create_params.TranscriptionCreateParamsBase,
        "CreateTranscriptionRequest",
        id="transcription",
    ),
    pytest.param(SPEAKING, speech_create_params.SpeechCreateParams, "CreateSpeechRequest", id="speech"),
    pytest.param(EMBEDDING, embedding_create_params.EmbeddingCreateParams, "CreateEmbeddingRequest", id="embedding"),
]
HI = [{"role": "user", "content": "Hi"}]


def listed(contract: Contract) -> set[str]:
    return {*contract.honoured, *contract.accepted, *contract.refused}


@pytest.mark.parametrize(("contract", "package", "schema"), CONTRACTS)
def test_each_field_is_in_one_list(contract: Contract, package: type, schema: str) -> None:
    lists = [*contract.honoured, *contract.accepted, *contract.refused]
    assert len(lists) == len(set(lists))


@pytest.mark.parametrize(("contract", "package", "schema"), CONTRACTS)
def test_no_field_of_the_package_is_forgotten(contract: Contract, package: type, schema: str) -> None:
    assert package.__annotations__.keys() | STREAM <= listed(contract)


@pytest.mark.parametrize(("contract", "package", "schema"), CONTRACTS)
def test_no_published_field_is_forgotten(contract: Contract, package: type, schema: str) -> None:
    assert fields_of(schema) <= listed(contract)


@pytest.mark.parametrize(
    ("contract", "body"),
    [
        (CHAT, ChatBody),
        (COMPLETION, CompletionBody),
        (TRANSCRIPTION, TranscriptionForm),
        (SPEAKING, SpeechBody),
        (EMBEDDING, EmbeddingBody),
    ],
)
def test_honoured_fields_are_those_that_are_read(contract: Contract, body: Any) -> None:
    assert contract.honoured == body.model_fields.keys()


@pytest.mark.parametrize("model", [ECHO, OPENVINO, GGUF])
def test_a_chat_answer_conforms(http: httpx.Client, model: str) -> None:
    conforms(
        http.post("/v1/chat/completions", json={"model": model, "messages": HI, "n": 2}).json(),
        "CreateChatCompletionResponse",
    )


@pytest.mark.parametrize("usage", [False, True])
def test_every_chunk_conforms(http: httpx.Client, usage: bool) -> None:
    asked = {"model": ECHO, "messages": HI, "stream": True, "stream_options": {"include_usage": usage}}
    lines = http.post("/v1/chat/completions", json=asked).text.split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]
    assert chunks
    for chunk in chunks:
        conforms(chunk, "CreateChatCompletionStreamResponse")


def test_a_completion_conforms(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json={"model": ECHO, "prompt": ["a", "b"], "n": 2}).json()
    conforms(answer, "CreateCompletionResponse")


def test_a_transcription_conforms(http: httpx.Client) -> None:
    sound = (AUDIO / "hello.wav").read_bytes()
    answer = http.post("/v1/audio/transcriptions", data={"model": WHISPER}, files={"file": ("a.wav", sound)}).json()
    conforms(answer, "CreateTranscriptionResponseJson")


def test_models_conform(http: httpx.Client) -> None:
    conforms(http.get("/v1/models").json(), "ListModelsResponse")
    conforms(http.get(f"/v1/models/{ECHO}").json(), "Model")


@pytest.mark.parametrize("path", ["/nope", "/v1/models/nope", "/v1/completions", "/v1/conversations/nope"])
def test_failures_conform(http: httpx.Client, path: str) -> None:
    conforms(http.get(path).json()["error"], "Error")


def test_our_own_description_names_no_shape_that_is_never_sent(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"], path
