"""POST /v1/embeddings, with models of random weights in both formats."""

from __future__ import annotations

import base64
import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from tests.embedders import BERT, BERT_GGUF, CONTEXT, QWEN, QWEN_GGUF, WIDTH, embedding_models
from tests.front_door import ECHO, PATIENCE, RunningServer, error_of, until
from tests.published import conforms
from tests.scrape import Scrape

pytestmark = pytest.mark.skipif(
    not (find_spec("openvino_genai") and find_spec("xllamacpp")), reason="an engine has no wheel here"
)
EMBEDDINGS = "/v1/embeddings"
TEXT, OTHER = "Hello world", "a much longer text about python modules and functions"
models = pytest.mark.parametrize("model", [BERT, QWEN, BERT_GGUF, QWEN_GGUF])
formats = pytest.mark.parametrize("model", [BERT, QWEN_GGUF])
NEAR = 3e-3  # llama.cpp's kernels depend on the shape of a batch: differences of 9e-4 were measured


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own: the demo models do not embed."""
    folder = tmp_path_factory.mktemp("embedding")
    flags = ("--echo", "--no-warm-up", "--idle-timeout", "0", "--threads", "1")
    with RunningServer.start(*flags, folder=folder, models=embedding_models(folder / "models")) as running:
        yield running


@pytest.fixture(scope="module")
def client(embedding: RunningServer) -> Iterator[openai.OpenAI]:
    with embedding.official() as connected:
        yield connected


@pytest.fixture(scope="module")
def http(embedding: RunningServer) -> Iterator[httpx.Client]:
    with embedding.plain() as connected:
        yield connected


def asked(**fields: Any) -> dict[str, Any]:
    """A body; a field that is ``...`` stays out."""
    body = {"model": BERT, "input": TEXT, **fields}
    return {name: value for name, value in body.items() if value is not ...}


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


# --- what comes -----------------------------------------------------------------------------------------------


@models
def test_the_official_client_gets_a_vector_of_length_1_for_each_text(client: openai.OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input=[TEXT, OTHER, TEXT])
    assert [one.index for one in answer.data] == [0, 1, 2]
    first, second, third = (one.embedding for one in answer.data)
    assert len(first) == WIDTH
    assert cosine(first, first) == pytest.approx(1, abs=1e-5)
    assert cosine(first, third) == pytest.approx(1, abs=1e-5)
    assert cosine(first, second) < 0.99
    assert answer.model == model
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 3


@formats
def test_a_batch_is_what_its_texts_are_one_by_one(client: openai.OpenAI, model: str) -> None:
    together = client.embeddings.create(model=model, input=[TEXT, OTHER]).data
    alone = [client.embeddings.create(model=model, input=text).data[0] for text in (TEXT, OTHER)]
    for one, other in zip(together, alone, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=NEAR)


@formats
def test_numbers_and_base64_are_the_same(http: httpx.Client, model: str) -> None:
    plain, packed = (
        http.post(EMBEDDINGS, json=asked(model=model, encoding_format=form)).json()["data"][0]["embedding"]
        for form in ("float", "base64")
    )
    assert list(struct.unpack(f"<{WIDTH}f", base64.b64decode(packed))) == plain


def test_numbers_are_what_comes_unasked_and_the_answer_conforms(http: httpx.Client) -> None:
    answer = http.post(EMBEDDINGS, json=asked(input=[TEXT, OTHER])).json()
    conforms(answer, "CreateEmbeddingResponse")
    assert all(isinstance(number, float) for number in answer["data"][0]["embedding"])


@formats
def test_token_ids_are_an_input_too(client: openai.OpenAI, model: str) -> None:
    ids = [5, 6, 7, 8]
    (single,) = client.embeddings.create(model=model, input=ids).data
    answer = client.embeddings.create(model=model, input=[ids, [9, 10]])
    assert single.embedding == pytest.approx(answer.data[0].embedding, abs=NEAR)
    assert (len(answer.data), answer.usage.prompt_tokens) == (2, 6)


@formats
def test_dimensions_cut_a_vector_and_make_it_as_long_as_1_again(client: openai.OpenAI, model: str) -> None:
    whole = client.embeddings.create(model=model, input=TEXT).data[0].embedding
    cut = client.embeddings.create(model=model, input=TEXT, dimensions=8).data[0].embedding
    length = sum(number**2 for number in whole[:8]) ** 0.5
    assert cut == pytest.approx([number / length for number in whole[:8]], abs=NEAR)


def test_as_many_inputs_as_openai_takes_come_in_their_order(client: openai.OpenAI) -> None:
    words = ["one", "two and more", "three words it is"]
    wanted = {word: client.embeddings.create(model=BERT, input=word).data[0].embedding for word in words}
    inputs = [words[number % 3] for number in range(2048)]
    answer = client.embeddings.create(model=BERT, input=inputs)
    assert [one.index for one in answer.data] == list(range(2048))
    for place in (0, 700, 2047):
        assert answer.data[place].embedding == pytest.approx(wanted[inputs[place]], abs=NEAR)


@formats
def test_requests_side_by_side_get_their_own(client: openai.OpenAI, model: str) -> None:
    texts = [f"text number {number} " * (1 + 3 * number) for number in range(6)]

    def ask(text: str) -> list[float]:
        return client.embeddings.create(model=model, input=text, user=text[:20]).data[0].embedding

    alone = [ask(text) for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        for one, other in zip(pool.map(ask, texts), alone, strict=True):
            assert one == pytest.approx(other, abs=NEAR)


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ...}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [TEXT, ""]}, "input[1]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [[5], []]}, "input[1]"),
        ({"input": 5}, "input"),
        ({"input": None}, "input"),
        ({"input": {"text": TEXT}}, "input"),
        ({"input": [TEXT, 5]}, "input[1]"),
        ({"input": [5, TEXT]}, "input[1]"),
        ({"input": [[5], TEXT]}, "input[1]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [5, -1]}, "input[1]"),
        ({"input": [5, 2000]}, "input"),
        ({"input": [[5], [2000]]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": [[5]] * 2049}, "input"),
        ({"model": ...}, "model"),
        ({"model": ECHO}, "model"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": WIDTH + 1}, "dimensions"),
        ({"dimensions": 8.5}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"user": 7}, "user"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"inputs": [TEXT]}, "inputs"),
    ],
)
def test_what_cannot_be_is_refused_by_name(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    assert error_of(http.post(EMBEDDINGS, json=asked(**fields)), 400)["param"] == param


@pytest.mark.parametrize("ids", [[[5] * 200] * 1501, [5] * 300_001])
def test_more_token_ids_than_openai_takes_are_refused_before_each_is_looked_at(http: httpx.Client, ids: Any) -> None:
    error = error_of(http.post(EMBEDDINGS, json=asked(input=ids)), 400)
    assert error["param"] == "input"
    assert "at most 2048 texts or 300000 token ids" in error["message"]


@models
def test_a_text_that_is_too_long_is_refused_with_its_length_and_never_cut(http: httpx.Client, model: str) -> None:
    error = error_of(http.post(EMBEDDINGS, json=asked(model=model, input=[TEXT, "x " * CONTEXT[model]])), 400)
    assert (error["param"], error["code"]) == ("input[1]", "context_length_exceeded")
    assert " tokens, and 'input[1]' has " in error["message"]


def test_half_a_character_is_refused(http: httpx.Client) -> None:
    raw = json.dumps(asked(input="hello \ud83d"))
    answer = http.post(EMBEDDINGS, content=raw, headers={"content-type": "application/json"})
    assert error_of(answer, 400)["code"] == "invalid_unicode"


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    error = error_of(http.post(EMBEDDINGS, json=asked(model="text-embedding-3-small")), 404)
    assert error["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/audio/speech", {"input": "Hi", "voice": "alloy"}),
    ],
)
def test_a_model_that_embeds_does_nothing_else(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    error = error_of(http.post(path, json={"model": BERT, **body}), 400)
    assert (error["param"], error["code"]) == ("model", "model_not_capable")


# --- who leaves, and what is told -----------------------------------------------------------------------------


@formats
def test_a_client_that_leaves_frees_the_model(http: httpx.Client, embedding: RunningServer, model: str) -> None:
    http.post(EMBEDDINGS, json=asked(model=model)).raise_for_status()
    cancelled = {"model": model, "ability": "embedding", "outcome": "cancelled"}
    before = Scrape.of(embedding).value("fluid_requests_total", **cancelled)
    leave_early(embedding, asked(model=model, input=["a long text " * 50 + str(number) for number in range(2048)]))
    until(lambda: Scrape.of(embedding).value("fluid_requests_total", **cancelled) == before + 1)
    assert http.post(EMBEDDINGS, json=asked(model=model)).is_success


def leave_early(server: RunningServer, body: dict[str, Any]) -> None:
    """Send a request and close the connection once the model has it: long before all of it is embedded."""
    address, content = urlsplit(server.address or ""), json.dumps(body).encode()
    head = f"POST {EMBEDDINGS} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.hostname or "", address.port or 80), PATIENCE) as connection:
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        until(lambda: server.health()["models"][body["model"]]["leases"] == 1)


def test_tokens_are_counted(http: httpx.Client, embedding: RunningServer) -> None:
    before = Scrape.of(embedding).value("fluid_prompt_tokens_total", model=BERT)
    used = http.post(EMBEDDINGS, json=asked()).json()["usage"]["prompt_tokens"]
    assert Scrape.of(embedding).value("fluid_prompt_tokens_total", model=BERT) == before + used


@pytest.mark.parametrize("model", [BERT, BERT_GGUF])
def test_the_list_says_that_it_embeds_and_how_much_it_reads(http: httpx.Client, model: str) -> None:
    body = http.get(f"/v1/models/{model}").json()
    assert (body["kind"], body["capabilities"], body["context_length"]) == ("embedding", ["embedding"], CONTEXT[model])
