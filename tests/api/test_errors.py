"""Whatever a client sends, it gets OpenAI's error object, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from fluid_server.api.errors import response_to
from fluid_server.errors import FluidError, ModelFailed, OutOfMemory, ShuttingDown
from tests.front_door import ECHO, GGUF, OPENVINO, WHISPER, error_of

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def goes_on(http: httpx.Client) -> Iterator[None]:
    """After each of these the server still answers."""
    yield
    assert asked(http).json()["choices"][0]["message"]["content"] == "Hi"


def asked(http: httpx.Client, **fields: Any) -> httpx.Response:
    """A request that would be right but for ``fields``."""
    return http.post(CHAT, json={"model": ECHO, "messages": HI, **fields})


def refused(http: httpx.Client, **fields: Any) -> tuple[str | None, str | None]:
    """The param and the code of the failure."""
    error = error_of(asked(http, **fields), 400)
    assert error["type"] == "invalid_request_error"
    return error["param"], error["code"]


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/v1", "/v1//models", "/v1/chat/completions/x"])
def test_a_path_that_is_not_there(http: httpx.Client, path: str) -> None:
    error = error_of(http.get(path), 404)
    assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")


def test_a_method_that_is_not_taken(http: httpx.Client) -> None:
    response = http.get("/v1/completions")
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_with_a_suggestion(http: httpx.Client, stream: bool) -> None:
    error = error_of(asked(http, model="fluid-tiny-vo", stream=stream), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert f"'{OPENVINO}'" in error["message"]


@pytest.mark.parametrize(
    "model", ["../../etc/passwd", "/etc/passwd", "C:\\Windows", "fluid-tiny-ov/..", "😀", "a" * 200]
)
def test_a_model_name_is_no_path(http: httpx.Client, model: str) -> None:
    error = error_of(asked(http, model=model), 404)
    assert len(error["message"]) < 500


def test_a_speech_model_does_not_chat(http: httpx.Client) -> None:
    assert refused(http, model=WHISPER) == ("model", "model_not_capable")


@pytest.mark.parametrize("body", ["{", "", "{'a': 1}", '{"a":}', "[" * 100_000, '{"seed": ' + "9" * 5000 + "}"])
def test_a_body_that_is_no_json(http: httpx.Client, body: str) -> None:
    error_of(http.post(CHAT, content=body, headers=JSON), 400)


@pytest.mark.parametrize("body", ["[]", "5", "null", '"text"', "true"])
def test_a_body_that_is_no_object(http: httpx.Client, body: str) -> None:
    assert error_of(http.post(CHAT, content=body, headers=JSON), 400)["code"] == "invalid_body"


def test_bytes_that_are_no_text(http: httpx.Client) -> None:
    error_of(http.post(CHAT, content=b'{"model": "\xff\xfe"}', headers=JSON), 400)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type(http: httpx.Client, content_type: str) -> None:
    content = b'{"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}'
    error = error_of(http.post(CHAT, content=content, headers={"content-type": content_type}), 400)
    assert "application/json" in error["message"]


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_what_is_missing_is_named(http: httpx.Client, missing: str) -> None:
    body = {name: value for name, value in {"model": ECHO, "messages": HI}.items() if name != missing}
    error = error_of(http.post(CHAT, json=body), 400)
    assert (error["param"], error["code"]) == (missing, "missing_required_parameter")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 5),
        ("model", None),
        ("messages", "Hi"),
        ("messages", None),
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", [[[[1]]]]),
        ("top_p", {}),
        ("n", "2"),
        ("n", 1.5),
        ("max_tokens", "many"),
        ("max_completion_tokens", 2.5),
        ("stream", "yes"),
        ("stream", 1),
        ("stop", 5),
        ("seed", "a"),
        ("stream_options", 5),
        ("chat_template_kwargs", 5),
    ],
    ids=str,
)
def test_a_wrong_type_is_named(http: httpx.Client, field: str, value: Any) -> None:
    assert refused(http, **{field: value}) == (field, "invalid_type")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", ""),
        ("messages", []),
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("top_p", -0.1),
        ("top_p", 1.1),
        ("n", 0),
        ("n", 17),
        ("n", 10**30),
        ("max_tokens", 0),
        ("max_completion_tokens", -5),
        ("stop", ""),
        ("stop", ["a"] * 5),
        ("seed", 2**70),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("stream_options", {"include_usage": True}),
        ("min_p", 1),
        ("top_k", -1),
        ("repetition_penalty", 0),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_out_of_range_is_named(http: httpx.Client, field: str, value: Any) -> None:
    assert refused(http, **{field: value}) == (field, "invalid_value")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["temperature", "top_p", "presence_penalty", "repetition_penalty"])
def test_numbers_that_are_none(http: httpx.Client, field: str, value: str) -> None:
    body = '{"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "%s": %s}' % (field, value)  # noqa: UP031
    assert error_of(http.post(CHAT, content=body, headers=JSON), 400)["param"] == field


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        (5, "messages[1]", "invalid_type"),
        ({"content": "a"}, "messages[1].role", "missing_required_parameter"),
        ({"role": "king", "content": "a"}, "messages[1].role", "invalid_value"),
        ({"role": "function", "name": "f", "content": "a"}, "messages[1].role", "invalid_value"),
        ({"role": "user"}, "messages[1].content", "missing_required_parameter"),
        ({"role": "user", "content": None}, "messages[1].content", "missing_required_parameter"),
        ({"role": "assistant"}, "messages[1].content", "missing_required_parameter"),
        ({"role": "user", "content": 5}, "messages[1].content", "invalid_type"),
        ({"role": "user", "content": {"text": "a"}}, "messages[1].content", "invalid_type"),
        ({"role": "user", "content": ["a"]}, "messages[1].content[0]", "invalid_type"),
        ({"role": "user", "content": [{"text": "a"}]}, "messages[1].content[0]", "invalid_value"),
        ({"role": "user", "content": [{"type": "poem"}]}, "messages[1].content[0]", "invalid_value"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text", "missing_required_parameter"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "messages[1].content[0].text", "invalid_type"),
        ({"role": "user", "content": "a", "name": 5}, "messages[1].name", "invalid_type"),
        ({"role": "user", "content": "a", "mood": 1}, "messages[1].mood", "unknown_parameter"),
        ({"role": "tool", "content": "a"}, "messages[1].tool_call_id", "missing_required_parameter"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[1].tool_calls[0].function", "missing_required_parameter"),
    ],
    ids=str,
)
def test_a_bad_message_is_named_by_its_place(http: httpx.Client, message: Any, param: str, code: str) -> None:
    assert refused(http, messages=[*HI, message]) == (param, code)


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_parts_that_no_model_here_can_read(http: httpx.Client, kind: str) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": kind, kind: {}}]}
    assert refused(http, messages=[message]) == ("messages[0].content[1].type", "unsupported_parameter")


FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0]"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, "tools[0].function.parameters"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "x": 1}}]}, "tools[0].custom.x"),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}}]},
            "tools[0].custom.format.grammar",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"response_format": {"type": "text", "x": 1}}, "response_format.x"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"choice": ["a" * 60_000, "b" * 60_000]}}, "structured_outputs.choice"),
        ({"stop": [1]}, "stop[0]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"metadata": {"a" * 65: "b"}}, "metadata." + "a" * 65),
        ({"metadata": {str(number): "b" for number in range(17)}}, "metadata"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_what_cannot_be_is_named_by_its_place(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    assert error_of(asked(http, **fields), 400)["param"] == param


@pytest.mark.parametrize(("wrong", "right"), [("temprature", "temperature"), ("max_token", "max_tokens")])
def test_a_misspelt_parameter_gets_a_hint(http: httpx.Client, wrong: str, right: str) -> None:
    error = error_of(asked(http, **{wrong: 1}), 400)
    assert (error["param"], error["code"]) == (wrong, "unknown_parameter")
    assert f"'{right}'" in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("response_format", {"type": "json_object"}),  # echo can only repeat
        ("logit_bias", {"5": 1}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("service_tier", "flex"),
        ("verbosity", "low"),
        ("web_search_options", {}),
    ],
)
def test_what_is_not_supported_is_refused_by_name(http: httpx.Client, field: str, value: Any) -> None:
    assert refused(http, **{field: value}) == (field, "unsupported_parameter")


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"response_format": {"type": "text"}, "logprobs": False, "store": False, "modalities": ["text"]},
        {"user": "ann", "metadata": {"a": "b"}, "safety_identifier": "x", "prompt_cache_key": "k"},
        {"service_tier": "auto", "logit_bias": {}, "n": 1, "stop": []},
    ],
)
def test_what_asks_for_nothing_passes(http: httpx.Client, fields: dict[str, Any]) -> None:
    assert asked(http, **fields).is_success


def test_an_unknown_stream_option_is_refused(http: httpx.Client) -> None:
    refusal = refused(http, stream=True, stream_options={"include_usage": True, "speed": 2})
    assert refusal == ("stream_options.speed", "unknown_parameter")


@pytest.mark.parametrize("model", [OPENVINO, GGUF])
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_longer_than_the_context(http: httpx.Client, model: str, stream: bool) -> None:
    long = [{"role": "user", "content": "apple " * 3000}]
    error = error_of(asked(http, model=model, messages=long, stream=stream), 400)
    assert (error["param"], error["code"]) == ("messages", "context_length_exceeded")
    assert "2048" in error["message"]


@pytest.mark.parametrize("model", [ECHO, OPENVINO, GGUF])
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "half \ud83d"}]},
        {"stop": "\udc00"},
        {"messages": [{"role": "user", "content": "Hi", "name": "\ud800"}]},
        {"\ud800": 1},
    ],
    ids=ascii,
)
def test_half_a_character_is_no_text(http: httpx.Client, model: str, fields: dict[str, Any]) -> None:
    body = json.dumps({"model": model, "messages": HI, **fields})
    assert error_of(http.post(CHAT, content=body, headers=JSON), 400)["code"] == "invalid_unicode"


@pytest.mark.parametrize("depth", [20, 500])
@pytest.mark.parametrize("field", ["chat_template_kwargs", "temperature", "stop", "messages"])
def test_nesting_without_end_blocks_nobody(http: httpx.Client, field: str, depth: int) -> None:
    nested = f'{{"a": {"[" * depth}{"]" * depth}}}'
    body = f'{{"model": "echo", "messages": [{{"role": "user", "content": "Hi"}}], "{field}": {nested}}}'
    assert error_of(http.post(CHAT, content=body, headers=JSON), 400)["param"] == field


@pytest.mark.parametrize("model", [ECHO, OPENVINO, GGUF])
def test_a_tool_that_nests_without_end_is_refused(http: httpx.Client, model: str) -> None:
    nested = '{"a":' * 900 + "1" + "}" * 900
    tool = f'{{"type": "function", "function": {{"name": "f", "parameters": {nested}}}}}'
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hi"}}], "tools": [{tool}]}}'
    assert error_of(http.post(CHAT, content=body, headers=JSON), 400)["param"] == "tools"


def test_a_template_variable_of_the_server_is_not_for_clients(http: httpx.Client) -> None:
    refusal = refused(http, chat_template_kwargs={"messages": []})
    assert refusal == ("chat_template_kwargs.messages", "invalid_value")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"model": "nope"}, openai.NotFoundError),
        ({"temperature": 5}, openai.BadRequestError),
        ({"model": WHISPER}, openai.BadRequestError),
    ],
    ids=str,
)
def test_the_client_raises_its_own_classes(
    client: openai.OpenAI, fields: dict[str, Any], kind: type[openai.APIStatusError]
) -> None:
    body: dict[str, Any] = {"model": ECHO, "messages": HI, **fields}
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**body)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param in fields


def test_every_answer_has_a_request_id(http: httpx.Client) -> None:
    assert asked(http).headers["x-request-id"].startswith("req_")
    assert http.get("/nope", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert http.get("/nope", headers={"X-Request-ID": "x" * 500}).headers["x-request-id"].startswith("req_")


# --- bodies that are made to hurt --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/completions", {"prompt": [-1] * 300_000}, "prompt[0]"),
        ("/v1/completions", {"prompt": [["x"]] * 100}, "prompt[0][0]"),
        ("/v1/chat/completions", {"messages": [1] * 300_000}, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [1] * 300_000}]}, "messages[0].content"),
    ],
    ids=["ids", "lists", "messages", "parts"],
)
def test_a_long_list_of_nonsense_is_refused_at_its_first_element(
    http: httpx.Client, path: str, body: dict[str, Any], param: str
) -> None:
    error = error_of(http.post(path, json={"model": "echo", **body}), 400)
    assert (error["param"] or "").startswith(param.partition("[")[0])
    assert len(error["message"]) < 300


def test_a_name_of_megabytes_is_not_echoed(http: httpx.Client) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "x"}], "x" * 1_000_000: 1}
    error = error_of(http.post("/v1/chat/completions", json=body), 400)
    assert len(error["message"]) < 300
    assert len(error["param"]) < 100


@pytest.mark.parametrize("field", [{"top_k": 10**25}, {"repetition_penalty": 1e-60}, {"min_p": 0.9999999999}])
def test_a_number_that_no_engine_can_hold_is_refused_by_name(http: httpx.Client, field: dict[str, float]) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "x"}], **field}
    assert error_of(http.post("/v1/chat/completions", json=body), 400)["param"] == next(iter(field))


def test_a_prompt_that_cannot_fit_is_refused_before_it_is_encoded(http: httpx.Client) -> None:
    body = {"model": "fluid-tiny-gguf:F16", "messages": [{"role": "user", "content": "word " * 1_000_000}]}
    error = error_of(http.post("/v1/chat/completions", json=body), 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "5000000 characters" in error["message"]


@pytest.mark.parametrize(
    ("error", "useless"), [(ModelFailed("x"), True), (OutOfMemory("x"), True), (ShuttingDown("x"), False)], ids=repr
)
def test_clients_are_told_where_trying_again_is_of_no_use(error: FluidError, useless: bool) -> None:
    assert (response_to(error).headers.get("x-should-retry") == "false") == useless
