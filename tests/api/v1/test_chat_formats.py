"""Answers that are held to a format, on both engines: schemas, expressions, choices, grammars, calls."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.api.v1.test_chat_tools import CALL, QUESTION, TIME, WEATHER, calls_of
from tests.front_door import ECHO, GGUF, OPENVINO, error_of

ENGINES = [OPENVINO, GGUF]
PERSON = "Give me JSON: Alice is 30 years old and lives in Rome."
SHELL = {"type": "custom", "custom": {"name": "shell", "description": "Run a command."}}


class Person(BaseModel):
    name: str
    age: int
    city: Literal["Rome", "Paris"]


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"enum": ["Rome", "Paris"]}},
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}
STRICT: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}


def asked(client: openai.OpenAI, model: str, question: str, **fields: Any) -> ChatCompletion:
    messages: Any = [{"role": "user", "content": question}]
    fields.setdefault("max_tokens", 300)
    fields.setdefault("temperature", 0)
    answer: ChatCompletion = client.chat.completions.create(model=model, messages=messages, **fields)
    return answer


def text_of(answer: ChatCompletion) -> str:
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize("model", ENGINES)
def test_json_of_a_schema(client: openai.OpenAI, model: str) -> None:
    answer = asked(client, model, PERSON, response_format=STRICT)
    assert json.loads(text_of(answer)) == {"name": "Alice", "age": 30, "city": "Rome"}
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ENGINES)
def test_a_typed_object_every_time_however_it_is_drawn(client: openai.OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": PERSON}]
    for seed in range(5):
        parsed = client.chat.completions.parse(
            model=model, messages=messages, response_format=Person, temperature=1.5, seed=seed, n=4
        )
        assert all(isinstance(choice.message.parsed, Person) for choice in parsed.choices)


@pytest.mark.parametrize("model", ENGINES)
def test_any_object(client: openai.OpenAI, model: str) -> None:
    answer = asked(client, model, "Hello", response_format={"type": "json_object"}, temperature=1.2, seed=1)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text_of(answer)), dict)
    assert text_of(answer).startswith("{")


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize(
    ("wish", "pattern"),
    [
        ({"regex": r"[A-Z]{3}-\d{2}"}, r"[A-Z]{3}-\d{2}"),
        ({"choice": ["positive", "negative"]}, "positive|negative"),
        ({"grammar": 'root ::= "a" [0-9]+ "b"'}, r"a\d+b"),
        ({"grammar": 'start: "x" NUMBER\nNUMBER: /[0-9]{1,3}/'}, r"x\d{1,3}"),
        ({"json": {"type": "integer", "minimum": 3, "maximum": 5}}, "[345]"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_vllms_clients_wish(client: openai.OpenAI, model: str, wish: dict[str, Any], pattern: str) -> None:
    for seed in range(3):
        answer = asked(
            client, model, "Hello", temperature=1.5, seed=seed, extra_body={"structured_outputs": wish}, max_tokens=60
        )
        whole = answer.choices[0].finish_reason == "stop"
        assert re.fullmatch(pattern, text_of(answer)) if whole else text_of(answer)


@pytest.mark.parametrize("model", ENGINES)
def test_a_call_that_is_required_is_made(client: openai.OpenAI, model: str) -> None:
    for seed in range(3):
        answer = asked(
            client, model, "Hello", tools=[WEATHER, TIME], tool_choice="required", temperature=1.5, seed=seed
        )
        choice = answer.choices[0]
        if choice.finish_reason != "length":
            assert choice.finish_reason == "tool_calls"
            assert {name for name, _ in calls_of(choice.message)} <= {"get_weather", "get_time"}


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_function_that_is_named_is_called(client: openai.OpenAI, model: str, stream: bool) -> None:
    chosen: Any = {"type": "function", "function": {"name": "get_time"}}
    fields: dict[str, Any] = {"tools": [WEATHER, TIME], "tool_choice": chosen, "temperature": 0, "max_tokens": 200}
    messages: Any = [{"role": "user", "content": QUESTION}]
    if stream:
        with client.chat.completions.stream(model=model, messages=messages, **fields) as running:
            message = running.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model=model, messages=messages, **fields).choices[0].message
    assert message.tool_calls is not None
    assert {call.function.name for call in message.tool_calls if call.type == "function"} == {"get_time"}


@pytest.mark.parametrize("model", ENGINES)
def test_only_the_allowed_tools_are_called(client: openai.OpenAI, model: str) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    choice: Any = {"type": "allowed_tools", "allowed_tools": allowed}
    message = asked(client, model, QUESTION, tools=[WEATHER, TIME], tool_choice=choice).choices[0].message
    assert {name for name, _ in calls_of(message)} == {"get_time"}


@pytest.mark.parametrize("model", ENGINES)
def test_a_strict_function_gets_what_its_schema_says(client: openai.OpenAI, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": schema, "strict": True}}
    for seed in range(3):
        answer = asked(client, model, QUESTION, tools=[tool], tool_choice="required", temperature=1.3, seed=seed)
        for _, arguments in calls_of(answer.choices[0].message):
            assert arguments["city"] in {"Oslo", "Rome"}
            assert 1 <= arguments["days"] <= 7


@pytest.mark.parametrize("model", ENGINES)
def test_strict_functions_leave_the_model_free_not_to_call(client: openai.OpenAI, model: str) -> None:
    parameters = {**WEATHER["function"]["parameters"], "additionalProperties": False}
    strict: Any = {**WEATHER, "function": {**WEATHER["function"], "strict": True, "parameters": parameters}}
    assert text_of(asked(client, model, "What is the capital of France?", tools=[strict])).startswith("The capital")
    assert calls_of(asked(client, model, QUESTION, tools=[strict]).choices[0].message)[0][1] == {"city": "Paris"}


@pytest.mark.parametrize("model", ENGINES)
def test_a_custom_tool_with_a_grammar_gets_nothing_else(client: openai.OpenAI, model: str) -> None:
    grammar = {"syntax": "lark", "definition": 'start: "SELECT " NAME\nNAME: /[a-z]{1,8}/'}
    tool: Any = {"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar", "grammar": grammar}}}
    chosen: Any = {"type": "custom", "custom": {"name": "sql"}}
    choice = asked(client, model, "Hello", tools=[tool], tool_choice=chosen).choices[0]
    (call,) = choice.message.tool_calls or []
    assert call.type == "custom"
    assert re.fullmatch("SELECT [a-z]{1,8}", call.custom.input)
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("model", ENGINES)
def test_a_model_may_think_before_it_keeps_to_a_format(client: openai.OpenAI, model: str) -> None:
    schema = {**SCHEMA, "properties": {"sum": {"type": "integer", "maximum": 99}}, "required": ["sum"]}
    wished = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    answer = asked(client, model, "What is 2 + 3 + 4?", reasoning_effort="high", response_format=wished)
    message = answer.choices[0].message
    assert "2 + 3 = 5" in (message.model_extra or {})["reasoning_content"]
    assert isinstance(json.loads(message.content or "")["sum"], int)


@pytest.mark.parametrize("model", ENGINES)
def test_the_limit_cuts_a_format_and_says_so(client: openai.OpenAI, model: str) -> None:
    answer = asked(client, model, PERSON, response_format=STRICT, max_tokens=3)
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("model", [ECHO, *ENGINES])
@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "object", "not": {"type": "object"}}, "not"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}, "ref"),
        ({"type": "banana"}, "banana"),
        ({"type": "string", "pattern": "(?=a)b"}, "pattern"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "bounds"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_with_the_word(
    http: httpx.Client, model: str, schema: dict[str, Any], word: str
) -> None:
    wished = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    messages = [{"role": "user", "content": "Hi"}]
    body = {"model": model, "messages": messages, "response_format": wished, "max_tokens": 5}
    error = error_of(http.post("/v1/chat/completions", json=body), 400)
    assert error["param"] == "response_format.json_schema.schema"
    assert word in error["message"]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("wish", [{"grammar": "root ::= ("}, {"grammar": "start: undefined_rule"}, {"regex": "a("}])
def test_a_grammar_that_is_none_is_refused_and_others_go_on(
    http: httpx.Client, client: openai.OpenAI, model: str, wish: dict[str, str]
) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "structured_outputs": wish}
    error = error_of(http.post("/v1/chat/completions", json=body), 400)
    assert error["type"] == "invalid_request_error"
    assert text_of(asked(client, model, "What is the capital of France?")) == "The capital of France is Paris."


def test_a_call_of_a_custom_tool_beside_functions(client: openai.OpenAI) -> None:
    said = CALL + '<tool_call>\n{"name": "shell", "arguments": {"input": "ls"}}\n</tool_call>'
    calls = asked(client, ECHO, said, tools=[WEATHER, SHELL]).choices[0].message.tool_calls or []
    assert [call.type for call in calls] == ["function", "custom"]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("regex", ["(a{1000}){100}", "((a{0,100}b){0,100}c){0,100}", "(a{5000}b){50}"])
def test_counts_within_counts_are_refused_before_an_engine_gives_them_up(
    http: httpx.Client, model: str, regex: str
) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "structured_outputs": {"regex": regex}}
    error = error_of(http.post("/v1/chat/completions", json=body), 400)
    assert error["param"] == "structured_outputs.regex"
    assert "counts written out" in error["message"]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("rules", [30, 300])
def test_a_grammar_of_rules_that_may_be_empty_stops_nobody(http: httpx.Client, model: str, rules: int) -> None:
    chain = "\n".join(f'r{one} ::= r{one + 1} "a"? | "b"?' for one in range(rules))
    wish = {"grammar": f'root ::= r0\n{chain}\nr{rules} ::= "z"?'}
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
    assert http.post("/v1/chat/completions", json={**body, "structured_outputs": wish}).status_code in (200, 400)
    assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_lark_in_groups_without_end_is_refused(http: httpx.Client) -> None:
    wish = {"grammar": f'start: {"(" * 2000}"a"{")" * 2000}'}
    for model in ENGINES:
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "structured_outputs": wish}
        error_of(http.post("/v1/chat/completions", json=body), 400)


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize("grammar", ["start: undefined_rule", "root ::= undefined_rule"])
def test_a_grammar_is_refused_by_the_field_that_has_it(http: httpx.Client, model: str, path: str, grammar: str) -> None:
    asks = {"prompt": "a"} if path == "completions" else {"messages": [{"role": "user", "content": "a"}]}
    body = {"model": model, **asks, "structured_outputs": {"grammar": grammar}}
    assert error_of(http.post(f"/v1/{path}", json=body), 400)["param"] == "structured_outputs"


def test_a_call_that_cannot_be_enforced_is_refused_by_its_tools(http: httpx.Client) -> None:
    body = {"model": ECHO, "messages": [{"role": "user", "content": "a"}], "tools": [WEATHER]}
    error = error_of(http.post("/v1/chat/completions", json={**body, "tool_choice": "required"}), 400)
    assert error["param"] == "tools"
