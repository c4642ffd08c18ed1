"""Tool calls and reasoning in chats, on every text runtime, as the official client sees them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage

from tests.front_door import ECHO, LANGUAGE_MODELS, error_of

CITY = {"type": "string", "description": "The city."}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {"type": "object", "properties": {"city": CITY}, "required": ["city"]},
    },
}
TIME: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the current time in a city.",
        "parameters": {"type": "object", "properties": {"city": CITY}, "required": ["city"]},
    },
}
SHELL = {"type": "custom", "custom": {"name": "shell", "description": "Run a command."}}
QUESTION = "What is the weather in Paris?"
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'


def asking(model: str, messages: str | list[Any], **fields: Any) -> dict[str, Any]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": model, "messages": messages, "temperature": 0, "tools": [WEATHER, TIME], **fields}


def answered(client: openai.OpenAI, model: str, messages: str | list[Any], **fields: Any) -> ChatCompletion:
    answer: ChatCompletion = client.chat.completions.create(**asking(model, messages, **fields))
    return answer


def heard(client: openai.OpenAI, model: str, messages: str | list[Any], **fields: Any) -> list[ChatCompletionChunk]:
    with client.chat.completions.create(**asking(model, messages, stream=True, **fields)) as stream:
        return list(stream)


def calls_of(message: ChatCompletionMessage) -> list[tuple[str, Any]]:
    found = []
    for call in message.tool_calls or []:
        assert call.type == "function"
        found.append((call.function.name, json.loads(call.function.arguments)))
    return found


def streamed_calls(chunks: list[ChatCompletionChunk]) -> dict[int, tuple[str, str]]:
    calls: dict[int, tuple[str, str]] = {}
    for chunk in chunks:
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            assert call.function is not None
            name, arguments = calls.get(call.index, ("", ""))
            calls[call.index] = (call.function.name or name, arguments + (call.function.arguments or ""))
    return calls


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_tool_is_called_and_its_result_becomes_the_answer(client: openai.OpenAI, model: str) -> None:
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    choice = answered(client, model, messages).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert calls_of(choice.message) == [("get_weather", {"city": "Paris"})]
    assert choice.message.tool_calls is not None
    result = {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": "21 degrees, sunny"}
    messages += [choice.message, result]
    final = answered(client, model, messages).choices[0]
    assert final.finish_reason == "stop"
    assert final.message.content == "The weather in Paris is sunny with 21 degrees."


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_streamed_call_has_its_name_first_and_the_same_arguments(client: openai.OpenAI, model: str) -> None:
    chunks = heard(client, model, QUESTION)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    first = next(delta.tool_calls[0] for delta in deltas if delta.tool_calls)
    assert first.function is not None
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert (first.id or "").startswith("call_")
    assert "".join(delta.content or "" for delta in deltas) == ""
    whole = answered(client, model, QUESTION).choices[0].message
    assert [(name, json.loads(text)) for name, text in streamed_calls(chunks).values()] == calls_of(whole)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_question_that_needs_no_tool_is_answered(client: openai.OpenAI, model: str) -> None:
    choice = answered(client, model, "What is the capital of France?").choices[0]
    assert choice.message.content == "The capital of France is Paris."
    assert choice.message.tool_calls is None


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_with_none_no_tool_is_called(client: openai.OpenAI, model: str) -> None:
    choice = answered(client, model, QUESTION, tool_choice="none").choices[0]
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "stop"


def test_text_reasoning_and_calls_are_told_apart(client: openai.OpenAI) -> None:
    message = answered(client, ECHO, f"<think>hm, hm</think>I will look.{CALL}{CALL}").choices[0].message
    assert message.content == "I will look."
    assert calls_of(message) == [("get_weather", {"city": "Paris"})] * 2
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] == message.model_extra["reasoning"] == "hm, hm"


def test_a_stream_tells_them_apart_too(client: openai.OpenAI) -> None:
    chunks = heard(client, ECHO, f"<think>hm, hm</think>I will look.{CALL}{CALL}")
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == "I will look."
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == "hm, hm"
    assert streamed_calls(chunks) == dict.fromkeys((0, 1), ("get_weather", '{"city": "Paris"}'))


def test_one_call_is_enough_where_they_are_not_parallel(client: openai.OpenAI) -> None:
    choice = answered(client, ECHO, CALL + CALL, parallel_tool_calls=False).choices[0]
    assert (len(choice.message.tool_calls or []), choice.finish_reason) == (1, "tool_calls")


def test_the_input_of_a_custom_tool_is_text(client: openai.OpenAI) -> None:
    said = '<tool_call>\n{"name": "shell", "arguments": {"input": "echo \\"hi\\"\\n"}}\n</tool_call>'
    choice = answered(client, ECHO, said, tools=[SHELL]).choices[0]
    (call,) = choice.message.tool_calls or []
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("shell", 'echo "hi"\n')


def test_an_answer_with_calls_may_be_sent_back_as_it_is(client: openai.OpenAI) -> None:
    said = '<tool_call>\n{"name": "shell", "arguments": {"input": "ls"}}\n</tool_call>'
    first = answered(client, ECHO, said, tools=[SHELL]).choices[0].message
    assert first.tool_calls is not None
    back: list[Any] = [
        {"role": "user", "content": said},
        first.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "a b c"},
    ]
    assert answered(client, ECHO, back, tools=[SHELL]).choices[0].message.content == "a b c"


def test_reasoning_is_counted(client: openai.OpenAI) -> None:
    usage = answered(client, ECHO, "<think>one two three</think> four").usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
@pytest.mark.parametrize(("effort", "thinks"), [("high", True), ("none", False)])
def test_reasoning_effort_turns_the_templates_switch(
    client: openai.OpenAI, model: str, effort: str, thinks: bool
) -> None:
    fields = {"tools": openai.omit, "reasoning_effort": effort}
    message = answered(client, model, "What is 2 + 3 + 4?", **fields).choices[0].message
    reasoning = (message.model_extra or {}).get("reasoning_content")
    assert bool(reasoning) is thinks
    assert message.content == "2 + 3 + 4 = 9"


def test_an_effort_that_a_template_has_no_switch_for_is_refused(http: httpx.Client) -> None:
    asked = asking(ECHO, "Hi", verbosity="high")
    assert error_of(http.post("/v1/chat/completions", json=asked), 400)["param"] == "verbosity"


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_the_final_message_is_continued(client: openai.OpenAI, model: str) -> None:
    messages = [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "The capital of"},
    ]
    fields = {"tools": openai.omit, "extra_body": {"continue_final_message": True}}
    assert answered(client, model, messages, **fields).choices[0].message.content == " France is Paris."


def test_timings_are_told_if_asked_for(client: openai.OpenAI) -> None:
    answer = answered(client, ECHO, "Hello", extra_body={"timings": True})
    assert answer.model_extra is not None
    timings = answer.model_extra["timings"]
    assert timings["ttft_ms"] <= timings["total_ms"]
    assert timings["queue_ms"] >= 0
    assert (answered(client, ECHO, "Hello").model_extra or {}) == {}


def test_the_time_until_an_answer_began_is_in_its_head(http: httpx.Client) -> None:
    answer = http.post("/v1/chat/completions", json=asking(ECHO, "Hello"), headers={"X-Request-ID": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert int(answer.headers["openai-processing-ms"]) >= 0
