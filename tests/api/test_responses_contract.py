"""The Responses API's fields, bodies and events, held against the official package and OpenAI's own description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from openai.types.responses import (
    Response,
    ResponseStreamEvent,
    input_token_count_params,
    response_create_params,
    response_includable,
    response_input_item,
    tool,
)
from pydantic import TypeAdapter

from fluid_server.api.schemas.fields import Contract
from fluid_server.api.schemas.responses import InputTokensBody, ResponseBody
from fluid_server.api.schemas.responses_answer import ResponseObject
from fluid_server.api.schemas.responses_fields import (
    FOREIGN_INCLUDES,
    FOREIGN_ITEMS,
    HOSTED_TOOLS,
    INPUT_TOKENS,
    LOGPROBS,
    REPEATED,
    RESPONSES,
    SEALED,
)
from fluid_server.api.schemas.responses_items import PREFIXES
from tests.front_door import ECHO, GGUF, OPENVINO, error_of
from tests.published import conforms, fields_of, left_over

PATH = "/v1/responses"
CONTRACTS = [
    pytest.param(RESPONSES, response_create_params.ResponseCreateParamsStreaming, "CreateResponse", id="create"),
    pytest.param(INPUT_TOKENS, input_token_count_params.InputTokenCountParams, "TokenCountsBody", id="input tokens"),
]
SPEAKS = "<think>hm</think>Hello<tool_call>\n"
CALLS_F = SPEAKS + '{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
CALLS_SQL = SPEAKS + '{"name": "sql", "arguments": {"input": "SELECT 1"}}\n</tool_call>'
F = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False}
SQL = {"type": "custom", "name": "sql", "description": "d", "format": {"type": "text"}}
MESSAGES = [
    {"role": "developer", "content": "Be short."},
    {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": "Hello", "phase": "final_answer"},
    {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "1"}]},
    {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT 1"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "2"},
]
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"input": "Hi"},
    "items": {"input": MESSAGES},
    "cut": {"input": "a b c d", "max_output_tokens": 2},
    "cut in a thought": {"input": "<think>a b c</think>d", "max_output_tokens": 1, "include": [SEALED]},
    "cut in a call": {"input": CALLS_F, "max_output_tokens": 3, "tools": [F]},
    "function": {"input": CALLS_F, "tools": [F], "include": [SEALED, LOGPROBS], "top_logprobs": 2},
    "custom tool": {"input": CALLS_SQL, "tools": [SQL, F], "parallel_tool_calls": False},
    "no tool": {"input": CALLS_F, "tools": [F], "tool_choice": "none"},
    "logprobs": {"input": "a b", "include": [LOGPROBS]},
    "instructions": {"input": "a", "instructions": "Be short."},
    "drawn": {"input": "a", "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "seed": 1, "stop": "z"},
    "penalties": {"input": "a", "presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 1.1},
    "labels": {"input": "a", "metadata": {"k": "v"}, "user": "u", "safety_identifier": "s"},
    "cache": {"input": "a", "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    "kept by nobody": {"input": "a", "store": False},
    "plain text": {"input": "a", "text": {"format": {"type": "text"}, "verbosity": "medium"}},
    "reasoning": {"input": "a", "reasoning": {"effort": "low", "summary": "auto", "context": "current_turn"}},
    "truncated": {"input": "a", "truncation": "auto", "max_tool_calls": 3, "service_tier": "auto"},
    "nothing": {"input": ""},
}
BAD_STREAM = {"input": "apple " * 3000, "model": OPENVINO}


def leaves(union: Any) -> Iterator[Any]:
    """The members of a union, however it is annotated."""
    members = get_args(get_args(union)[0]) or get_args(union)
    yield from members


def types_of(union: Any) -> set[str]:
    """What the members of a union say as their type."""
    return {
        name
        for member in leaves(union)
        for literal in (member.model_fields["type"].annotation,)
        for name in (get_args(literal) if isinstance(get_args(literal)[0], str) else get_args(get_args(literal)[0]))
    }


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream, checked to bear their names."""
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def listed(contract: Contract) -> list[str]:
    return [*contract.honoured, *contract.accepted, *contract.refused]


@pytest.mark.parametrize(("contract", "package", "schema"), CONTRACTS)
def test_each_field_is_in_exactly_one_list(contract: Contract, package: type, schema: str) -> None:
    assert len(listed(contract)) == len(set(listed(contract)))
    assert package.__annotations__.keys() <= set(listed(contract))


@pytest.mark.parametrize(("contract", "package", "schema"), CONTRACTS)
def test_no_published_field_is_forgotten(contract: Contract, package: type, schema: str) -> None:
    assert fields_of(schema) <= set(listed(contract))


def test_the_fields_that_are_read_are_those_that_are_honoured_or_repeated() -> None:
    assert RESPONSES.honoured | set(REPEATED) == ResponseBody.model_fields.keys()
    assert INPUT_TOKENS.honoured == InputTokensBody.model_fields.keys()
    assert set(REPEATED) <= RESPONSES.accepted.keys()


def test_every_item_of_the_package_is_taken_or_refused_by_name() -> None:
    ours = PREFIXES.keys() | FOREIGN_ITEMS.keys() | {"item_reference"}
    assert types_of(response_input_item.ResponseInputItem) <= ours


def test_every_tool_of_the_package_is_taken_or_refused_by_name() -> None:
    named = {name.partition("_20")[0] for name in types_of(tool.Tool)}
    assert named <= HOSTED_TOOLS.keys() | {"function", "custom"}


def test_everything_that_can_be_included_is_honoured_or_refused_by_name() -> None:
    assert set(get_args(response_includable.ResponseIncludable)) == FOREIGN_INCLUDES.keys() | {LOGPROBS, SEALED}


def test_our_description_of_a_response_knows_one_field_of_its_own() -> None:
    assert ResponseObject.model_fields.keys() - Response.model_fields.keys() == {"timings"}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_response_is_the_official_object_and_conforms(http: httpx.Client, name: str) -> None:
    answer = http.post(PATH, json={"model": ECHO, **REQUESTS[name]})
    assert answer.is_success, answer.text
    assert not list(left_over(Response.model_validate(answer.json())))
    conforms(answer.json(), "Response")


@pytest.mark.parametrize("name", REQUESTS)
def test_every_event_is_an_official_one_and_conforms(http: httpx.Client, name: str) -> None:
    events = events_of(http.post(PATH, json={"model": ECHO, "stream": True, **REQUESTS[name]}).text)
    official: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        parsed = official.validate_python(event)
        assert parsed.type == event["type"]
        assert not [field for field in left_over(parsed) if not field.endswith(".name")]  # published, not packaged
        conforms(event, "ResponseStreamEvent")


@pytest.mark.parametrize("model", [OPENVINO, GGUF])
@pytest.mark.parametrize("effort", ["none", "high"])
def test_an_engine_s_response_conforms(http: httpx.Client, model: str, effort: str) -> None:
    asked = {"model": model, "input": "What is 2 plus 3?", "reasoning": {"effort": effort}, "include": [LOGPROBS]}
    answer = http.post(PATH, json=asked).raise_for_status().json()
    assert not list(left_over(Response.model_validate(answer)))
    conforms(answer, "Response")


def test_lists_counts_and_deletions_conform(http: httpx.Client) -> None:
    made = http.post(PATH, json={"model": ECHO, "input": MESSAGES}).json()
    path = f"{PATH}/{made['id']}"
    conforms(http.get(f"{path}/input_items").json(), "ResponseItemList")
    conforms(http.get(path).json(), "Response")
    conforms(http.post(f"{PATH}/input_tokens", json={"model": ECHO, "input": "a"}).json(), "TokenCountsResource")
    assert http.delete(path).json() == {"id": made["id"], "object": "response", "deleted": True}


@pytest.mark.parametrize("item", sorted(FOREIGN_ITEMS))
def test_an_item_of_a_hosted_tool_is_refused_by_name(http: httpx.Client, item: str) -> None:
    error = error_of(http.post(PATH, json={"model": ECHO, "input": [{"type": item}]}), 400)
    assert (error["code"], error["param"]) == ("unsupported_parameter", "input[0].type")


@pytest.mark.parametrize("kind", [*sorted(HOSTED_TOOLS), "web_search_2025_08_26"])
def test_a_hosted_tool_is_refused_by_name(http: httpx.Client, kind: str) -> None:
    for place, fields in (
        ("tools[0].type", {"tools": [{"type": kind}]}),
        ("tool_choice.type", {"tool_choice": {"type": kind}}),
    ):
        error = error_of(http.post(PATH, json={"model": ECHO, "input": "a", **fields}), 400)
        assert (error["code"], error["param"]) == ("unsupported_parameter", place)


@pytest.mark.parametrize("name", sorted(RESPONSES.refused))
def test_a_refused_field_is_named(http: httpx.Client, name: str) -> None:
    error = error_of(http.post(PATH, json={"model": ECHO, "input": "a", name: {"id": "x"}}), 400)
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)


@pytest.mark.parametrize("name", sorted(FOREIGN_INCLUDES))
def test_what_cannot_be_included_is_named(http: httpx.Client, name: str) -> None:
    error = error_of(http.post(PATH, json={"model": ECHO, "input": "a", "include": [name]}), 400)
    assert (error["code"], error["param"]) == ("unsupported_parameter", "include[0]")
