"""POST /v1/responses: what it answers, as the official client sees it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.front_door import ECHO, GGUF, LANGUAGE_MODELS, OPENVINO, error_of

ENGINES = (OPENVINO, GGUF)
PATH = "/v1/responses"
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": False,
}
CUSTOM = {"type": "custom", "name": "sql"}
CALL = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
SOME = {"type": "allowed_tools", "mode": "auto"}
RESULT = '{"city": "Rome", "temperature": 21, "sky": "sunny"}'
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}


def answered(client: openai.OpenAI, model: str, question: Any = QUESTION, **fields: Any) -> Response:
    """A greedy answer."""
    response: Response = client.responses.create(model=model, input=question, temperature=0, **fields)
    return response


def refused(http: httpx.Client, status: int = 400, **fields: Any) -> dict[str, Any]:
    """The error of a request to echo."""
    return error_of(http.post(PATH, json={"model": ECHO, "input": "Hi", **fields}), status)


def says(name: str, arguments: str) -> str:
    """What echo makes a call of."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


# --- answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_text_is_answered_and_counted_exactly(client: openai.OpenAI, model: str) -> None:
    response = answered(client, model)
    assert (response.output_text, response.status, response.model) == (ANSWER, "completed", model)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (17, 10, 27)


@pytest.mark.parametrize("model", ENGINES)
def test_reasoning_is_an_item_of_its_own_and_counted(client: openai.OpenAI, model: str) -> None:
    response = answered(client, model, reasoning={"effort": "high"})
    thought, message = response.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert "capital of France" in thought.content[0].text
    assert (message.type, response.output_text) == ("message", ANSWER)
    assert response.usage is not None
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens


@pytest.mark.parametrize("model", ENGINES)
def test_a_limit_makes_the_response_incomplete(client: openai.OpenAI, model: str) -> None:
    response = answered(client, model, max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.completed_at is None
    assert response.usage is not None
    assert response.usage.output_tokens == 3


@pytest.mark.parametrize("model", ENGINES)
def test_instructions_are_followed(client: openai.OpenAI, model: str) -> None:
    response = answered(client, model, "Who are you?", instructions="Your name is Alice.")
    assert (response.output_text, response.instructions) == ("I am Alice.", "Your name is Alice.")


@pytest.mark.parametrize(("model", "top"), [(OPENVINO, 0), (GGUF, 2)])  # OpenVINO GenAI tells no alternatives
def test_log_probabilities_come_where_they_are_included(client: openai.OpenAI, model: str, top: int) -> None:
    response = answered(client, model, include=["message.output_text.logprobs"], top_logprobs=top)
    (message,) = response.output
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    tokens = message.content[0].logprobs or []
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == ANSWER
    assert {len(token.top_logprobs) for token in tokens} == {top}


def test_the_answer_says_how_its_tokens_were_drawn(client: openai.OpenAI) -> None:
    assert client.responses.create(model=OPENVINO, input="Hi").temperature == 0.0  # by its generation_config.json
    drawn = client.responses.create(model=OPENVINO, input="Hi", temperature=0.5, top_p=0.9)
    assert (drawn.temperature, drawn.top_p) == (0.5, 0.9)


def test_what_was_asked_is_repeated(client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {
        "metadata": {"k": "v"}, "user": "u", "safety_identifier": "s", "prompt_cache_key": "c", "max_tool_calls": 2,
        "truncation": "auto", "parallel_tool_calls": False, "top_logprobs": 1, "max_output_tokens": 50,
    }  # fmt: skip
    response = answered(client, ECHO, "Hi", tools=[WEATHER], tool_choice="none", **fields).to_dict()
    assert {name: response[name] for name in fields} == fields
    assert (response["tools"], response["tool_choice"]) == ([WEATHER], "none")


def test_timings_are_told_where_they_are_asked_for(client: openai.OpenAI) -> None:
    timed: Any = client.responses.create(model=ECHO, input="a b c", extra_body={"timings": True})
    assert 0 <= timed.timings["ttft_ms"] <= timed.timings["total_ms"]
    assert not hasattr(client.responses.create(model=ECHO, input="a"), "timings")


# --- items ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_earlier_turns_are_remembered(client: openai.OpenAI, model: str) -> None:
    turns = [
        {"role": "user", "content": "Hi, my name is Tina."},
        {"role": "assistant", "content": "Nice to meet you, Tina!"},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "What is my"}, {"type": "input_text", "text": " name?"}],
        },
    ]
    assert answered(client, model, turns).output_text == "Your name is Tina."


def test_an_output_can_be_sent_back_as_it_came(client: openai.OpenAI) -> None:
    tools = [{**WEATHER, "name": "f"}]
    first = answered(client, ECHO, "<think>hm</think>Hello" + says("f", "{}"), tools=tools)
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call"]
    call = first.output[-1]
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
    assert answered(client, ECHO, [*first.output, result], tools=tools).output_text == "done"


@pytest.mark.parametrize("field", [{"id": "msg_7"}, {"status": "completed"}, {"phase": "commentary"}], ids=str)
def test_a_message_may_say_more_of_itself(client: openai.OpenAI, field: dict[str, Any]) -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}], **field}
    assert answered(client, ECHO, [item, {"role": "user", "content": "b"}]).output_text == "b"


def test_sealed_reasoning_stands_for_its_text(client: openai.OpenAI) -> None:
    question: Any = {"role": "user", "content": "<think>a b c</think>d"}
    first = answered(client, ECHO, [question], store=False, include=["reasoning.encrypted_content"])
    thought, message = first.output
    assert thought.type == "reasoning"
    bare: Any = {"type": "reasoning", "id": thought.id, "summary": [], "encrypted_content": thought.encrypted_content}
    made = answered(client, ECHO, [question, bare, message, question])
    kept = client.responses.input_items.list(made.id, order="asc").data
    assert [part.text for part in getattr(kept[1], "content", [])] == ["a b c"]


@pytest.mark.parametrize("kind", ["input_image", "input_file", "input_audio"])
def test_what_is_no_text_is_refused_by_name(http: httpx.Client, kind: str) -> None:
    part = {"type": kind, "file_id": "file_1", "detail": "auto"}
    error = refused(http, input=[{"role": "user", "content": [{"type": "input_text", "text": "a"}, part]}])
    assert (error["code"], error["param"]) == ("unsupported_parameter", "input[0].content[1].type")
    error = refused(http, input=[{"type": "function_call_output", "call_id": "c", "output": [part]}])
    assert error["param"] == "input[0].output[0].type"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "nobody", "content": "a"}, "input[0].role"),
        ({"role": "user"}, "input[0].content"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content[0].text"),
        ({"role": "user", "content": "a", "mood": "b"}, "input[0].mood"),
        ({**CALL, "call_id": None}, "input[0].call_id"),
        ({**CALL, "namespace": "n"}, "input[0].namespace"),
        ({**CALL, "caller": {"type": "program"}}, "input[0].caller"),
        ({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}, "input[0].encrypted_content"),
        ({"type": "item_reference", "id": "msg_nowhere"}, "input[0].id"),
        ({"type": "nothing"}, "input[0]"),
        ("text", "input[0]"),
    ],
    ids=str,
)
def test_an_item_that_is_wrong_is_named(http: httpx.Client, item: Any, param: str) -> None:
    assert refused(http, input=[item])["param"] == param


# --- tools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("strict", [False, None, True])
def test_a_function_is_called_and_its_result_answered_from(
    client: openai.OpenAI, model: str, strict: bool | None
) -> None:
    tools: Any = [{**WEATHER, "strict": strict}]
    question = [{"role": "user", "content": "What is the weather in Rome?"}]
    first = answered(client, model, question, tools=tools)
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Rome"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}
    second = answered(client, model, [*question, call, result], tools=tools)
    assert second.output_text == "The weather in Rome is sunny with 21 degrees."


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"type": "function", "name": "get_weather"}, "function_call"),
        ({"type": "custom", "name": "sql"}, "custom_tool_call"),
        ({"type": "allowed_tools", "mode": "required", "tools": [WEATHER]}, "function_call"),
    ],
    ids=str,
)
def test_a_tool_that_must_be_called_is_called(
    client: openai.OpenAI, model: str, choice: dict[str, Any], kind: str
) -> None:
    fields: Any = {"tools": [WEATHER, CUSTOM], "tool_choice": choice, "parallel_tool_calls": False}
    response = answered(client, model, "Hello", max_output_tokens=200, **fields)
    assert response.output[0].type == kind
    assert response.to_dict()["tool_choice"] == choice


def test_a_custom_tool_gets_its_input_as_text(client: openai.OpenAI) -> None:
    question = says("sql", json.dumps({"input": 'SELECT "é"\n'}))
    (call,) = answered(client, ECHO, question, tools=[CUSTOM]).output
    assert call.type == "custom_tool_call"
    assert (call.name, call.input) == ("sql", 'SELECT "é"\n')


def test_functions_are_strict_unless_they_say_otherwise(client: openai.OpenAI) -> None:
    tools: list[Any] = [
        {key: value for key, value in WEATHER.items() if key != "strict"},
        {"type": "function", "name": "bare"},
        {**WEATHER, "name": "loose"},
    ]
    told = client.responses.create(model=ECHO, input="Hi", tools=tools, tool_choice="none").to_dict()["tools"]
    assert isinstance(told, list)
    assert [tool["strict"] for tool in told] == [True, False, False]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {**SOME, "tools": [{"type": "function"}]}}, "tool_choice.tools[0].name"),
        ({"tools": [WEATHER], "tool_choice": {**SOME, "tools": [{"type": "mcp"}]}}, "tool_choice.tools[0].type"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{**WEATHER, "allowed_callers": ["programmatic"]}]}, "tools[0].allowed_callers[0]"),
        ({"tools": [{**WEATHER, "strict": True, "parameters": None}]}, "tools[0].parameters"),
        ({"tools": [{**CUSTOM, "format": {"type": "grammar", "syntax": "lark"}}]}, "tools[0].format.definition"),
    ],
    ids=str,
)
def test_a_tool_that_is_wrong_is_named(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    assert refused(http, **fields)["param"] == param


# --- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"background": True, "store": False}, "background"),
        ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id"),
        ({"conversation": {"name": "b"}}, "conversation.id"),
        ({"include": ["nothing"]}, "include[0]"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
        ({"reasoning": {"generate_summary": "concise"}}, "reasoning.generate_summary"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"text": {"verbosity": "high"}}, "text.verbosity"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
        ({"temprature": 1}, "temprature"),
    ],
    ids=str,
)
def test_a_field_that_is_wrong_or_beyond_the_model_is_named(
    http: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    assert refused(http, **fields)["param"] == param


@pytest.mark.parametrize("model", ENGINES)
def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(http: httpx.Client, model: str) -> None:
    error = error_of(http.post(PATH, json={"model": model, "input": "apple " * 3000}), 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert "2048 tokens" in error["message"]
    assert "the input alone take 3" in error["message"]


def test_a_model_that_is_not_there_is_no_response(http: httpx.Client) -> None:
    assert refused(http, 404, model="nope")["code"] == "model_not_found"


def test_compaction_is_refused_and_the_way_out_named(http: httpx.Client) -> None:
    error = error_of(http.post(f"{PATH}/compact", json={"model": ECHO, "input": "Hi"}), 400)
    assert error["code"] == "unsupported_parameter"
    assert "truncation" in error["message"]


# --- what does not fit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_the_oldest_turns_are_left_out_until_the_prompt_fits(client: openai.OpenAI, model: str) -> None:
    turn = [{"role": "user", "content": "apple " * 300}, {"role": "assistant", "content": "Yes."}]
    asked = [*turn * 8, {"role": "user", "content": QUESTION}]
    response = answered(client, model, asked, truncation="auto", instructions="Be short.", max_output_tokens=5)
    assert response.usage is not None
    assert 1000 < response.usage.input_tokens <= 2048 - 5


def test_what_cannot_be_left_out_is_too_long_still(http: httpx.Client) -> None:
    asked = {"model": GGUF, "input": "apple " * 3000, "truncation": "auto"}
    assert error_of(http.post(PATH, json=asked), 400)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("model", ENGINES)
def test_input_tokens_are_those_that_a_response_counts(client: openai.OpenAI, model: str) -> None:
    fields: dict[str, Any] = {"input": QUESTION, "tools": [WEATHER], "instructions": "Be short."}
    counted = client.responses.input_tokens.count(model=model, **fields).input_tokens
    response = client.responses.create(model=model, max_output_tokens=1, **fields)
    assert response.usage is not None
    assert counted == response.usage.input_tokens
