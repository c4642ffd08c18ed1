"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import time

import httpx
import openai
import pytest
from openai.types import Model

from tests.front_door import ECHO, GGUF, LANGUAGE_MODELS, OPENVINO, QNN_WHISPER, WHISPER, error_of

ALL = {*LANGUAGE_MODELS, WHISPER, QNN_WHISPER, ECHO}


def test_every_model_is_listed(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} == ALL


def test_a_list_is_the_official_object(http: httpx.Client) -> None:
    body = http.get("/v1/models").json()
    assert body["object"] == "list"
    for entry in body["data"]:
        model = Model.model_validate(entry, strict=True)
        assert model.object == "model"
        assert 0 <= model.created <= time.time()


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_model_by_its_id(client: openai.OpenAI, name: str) -> None:
    assert client.models.retrieve(name).id == name


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("fluid-tiny-gguf", "fluid-tiny-gguf:Q8_0"),
        ("FLUID-TINY-OV", OPENVINO),
        ("fluid-tiny-ov:latest", OPENVINO),
        ("fluid-tiny-gguf:f16", GGUF),
        ("fluid-tiny-F16.gguf", GGUF),
        ("fluid-tiny-gguf/fluid-tiny-F16.gguf", GGUF),
    ],
)
def test_a_model_by_another_name(http: httpx.Client, name: str, id_: str) -> None:
    assert http.get(f"/v1/models/{name}").json()["id"] == id_


@pytest.mark.parametrize(
    ("name", "format_", "kind", "ability", "context"),
    [
        (OPENVINO, "openvino", "text", "chat", 2048),
        (GGUF, "gguf", "text", "completion", 2048),
        (WHISPER, "openvino", "transcription", "transcription", 448),
        (QNN_WHISPER, "qnn", "transcription", "transcription", 200),
        (ECHO, "builtin", "text", "chat", 1_000_000),
    ],
)
def test_a_model_says_what_it_is(
    http: httpx.Client, name: str, format_: str, kind: str, ability: str, context: int
) -> None:
    model = http.get(f"/v1/models/{name}").json()
    assert (model["format"], model["kind"], model["context_length"]) == (format_, kind, context)
    assert ability in model["capabilities"]
    assert model["problem"] is None


@pytest.mark.parametrize(("name", "can"), [(OPENVINO, True), (GGUF, True), (WHISPER, False)])
def test_a_model_says_whether_it_reasons_and_calls_tools(http: httpx.Client, name: str, can: bool) -> None:
    capabilities = set(http.get(f"/v1/models/{name}").json()["capabilities"])
    assert ({"reasoning", "tools"} <= capabilities) is can


def test_a_loaded_model_says_where_it_runs(http: httpx.Client, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=ECHO, messages=[{"role": "user", "content": "hi"}])
    model = http.get(f"/v1/models/{ECHO}").json()
    assert (model["state"], model["runtime"], model["device"]) == ("ready", "echo", "CPU")
    assert model["memory_bytes"] > 0


@pytest.mark.parametrize("name", ["nope", "nope/nope", "..%2f..%2fetc%2fpasswd", "%ff", "a" * 5000])
def test_an_unknown_model_is_not_found(http: httpx.Client, name: str) -> None:
    error = error_of(http.get(f"/v1/models/{name}"), 404)
    assert error["code"] in {"model_not_found", "not_found"}
    assert len(error["message"]) < 500


def test_the_client_gets_its_own_error_class(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("fluid-tiny-vo")
    assert caught.value.code == "model_not_found"
    assert f"'{OPENVINO}'" in str(caught.value)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_list_is_only_read(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/v1/models")
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"] == "GET"


def test_nothing_tells_the_paths_of_the_machine(http: httpx.Client) -> None:
    assert "fluid-tiny-gguf:" in http.get("/v1/models").text
    assert "/models/llm" not in http.get("/v1/models").text.replace("\\\\", "/")
