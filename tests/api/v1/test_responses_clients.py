"""What programs do with the Responses API: typed answers, the client's own streams, the Agents SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIResponsesModel,
    Runner,
    RunResult,
    function_tool,
    set_tracing_disabled,
)
from openai import pydantic_function_tool
from pydantic import BaseModel, Field

from tests.front_door import ECHO, GGUF, OPENVINO, PATIENCE, RunningServer

ENGINES = (OPENVINO, GGUF)
SENTENCE = "Make JSON: Alice is 30 years old and lives in Rome."
WEATHER = "What is the weather in Rome?"
KNOWN = "The weather in Rome is sunny with 21 degrees."


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int
    city: str


class GetWeather(BaseModel):
    """Get the weather of a city."""

    city: str = Field(description="The name of the city.")


PARSED: Any = pydantic_function_tool(GetWeather, name="get_weather")
TOOL: Any = {"type": "function", **PARSED["function"]}


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return json.dumps({"city": city, "temperature": 21, "sky": "sunny"})


@asynccontextmanager
async def agent_of(server: RunningServer, model: str) -> AsyncGenerator[Agent, None]:
    """An agent with one tool."""
    set_tracing_disabled(True)
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0, timeout=PATIENCE) as client:
        yield Agent(
            name="Forecaster",
            model=OpenAIResponsesModel(model, client),
            model_settings=ModelSettings(temperature=0),
            tools=[function_tool(get_weather)],
        )


# --- the client's own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_an_answer_is_parsed_into_a_type(client: openai.OpenAI, model: str) -> None:
    response = client.responses.parse(model=model, input=SENTENCE, text_format=Person, temperature=0)
    assert response.output_parsed == Person(name="Alice", age=30, city="Rome")


@pytest.mark.parametrize("model", ENGINES)
def test_a_call_is_parsed_into_its_arguments(client: openai.OpenAI, model: str) -> None:
    response = client.responses.parse(model=model, input=WEATHER, tools=[PARSED], temperature=0)
    (call,) = response.output
    assert call.type == "function_call"
    assert call.parsed_arguments == GetWeather(city="Rome")


@pytest.mark.parametrize("model", ENGINES)
def test_the_client_s_stream_follows_every_event(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input=WEATHER, tools=[TOOL], temperature=0) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    call = final.output[-1]
    assert call.type == "function_call"
    assert snapshots[-1] == call.arguments
    assert json.loads(call.arguments) == {"city": "Rome"}


def test_the_client_s_stream_goes_on_with_one_in_the_background(client: openai.OpenAI) -> None:
    with client.responses.stream(model=ECHO, input="a b c d", background=True) as first:
        seen = [next(first) for _ in range(4)]
    created = seen[0]
    assert created.type == "response.created"
    last = seen[-1].sequence_number
    with client.responses.stream(response_id=created.response.id, starting_after=last) as second:
        assert second.get_final_response().output_text == "a b c d"


def test_a_parsed_answer_can_be_sent_back(client: openai.OpenAI) -> None:
    tools: Any = [{**TOOL, "strict": False}]
    call = '<think>hm</think>a<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    first = client.responses.parse(model=ECHO, input=call, tools=tools)
    result: Any = {"type": "function_call_output", "call_id": getattr(first.output[-1], "call_id", ""), "output": "b"}
    again: Any = [*first.output, result]
    assert client.responses.create(model=ECHO, input=again, tools=tools).output_text == "b"


# --- the Agents SDK ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_an_agent_calls_its_tool_and_answers(server: RunningServer, model: str) -> None:
    async def run() -> RunResult:
        async with agent_of(server, model) as agent:
            return await Runner.run(agent, WEATHER)

    result = asyncio.run(run())
    assert result.final_output == KNOWN
    assert [item.type for item in result.new_items] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]


@pytest.mark.parametrize("model", ENGINES)
def test_an_agent_does_so_in_a_stream(server: RunningServer, model: str) -> None:
    async def run() -> tuple[str, Any]:
        text = ""
        async with agent_of(server, model) as agent:
            running = Runner.run_streamed(agent, WEATHER)
            async for event in running.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    text += event.data.delta
            return text, running.final_output

    assert asyncio.run(run()) == (KNOWN, KNOWN)


@pytest.mark.parametrize("model", ENGINES)
def test_an_agent_goes_on_from_what_the_server_keeps(server: RunningServer, model: str) -> None:
    async def run() -> Any:
        async with agent_of(server, model) as agent:
            first = await Runner.run(agent, WEATHER)
            second = await Runner.run(agent, "Hi, my name is Tina.", previous_response_id=first.last_response_id)
            third = await Runner.run(agent, "What is my name?", previous_response_id=second.last_response_id)
            return third.final_output

    assert asyncio.run(run()) == "Your name is Tina."
