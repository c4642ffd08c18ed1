"""The same greedy request gives the same text through OpenVINO and through llama.cpp.

Both run the same weights (fp16 IR, F16 GGUF). OpenVINO computes in f32 here: by default its CPU plugin takes
bf16 and an 8-bit KV cache where the processor has them, and then long free texts may part (docs: runtimes).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluid_server.runtimes.table import create
from fluid_server.runtimes.text import TextRuntime
from fluid_server.types import Message, RuntimeOptions
from tests.runtimes.engines import SPECS, answers, ask, text_of, usage_of

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
PROMPTS = [
    *(f"What is the capital of {country}?" for country in ("France", "Iceland", "Peru", "Nepal", "Ghana", "Iraq")),
    *(f"What is {a} + {b}?" for a, b in ((1, 2), (7, 8), (19, 20), (0, 0), (13, 4))),
    *(f"{a} * {b}" for a, b in ((3, 4), (9, 9), (10, 2))),
    *(f"What is the opposite of {word}?" for word in ("hot", "early", "rich", "left")),
    *(f"How do you say {word} in French?" for word in ("cat", "bread", "goodbye")),
    *(f"What color is {thing}?" for thing in ("sky", "coal", "tomato")),
    *(f"What does a {animal} say?" for animal in ("duck", "lion")),
    "What day comes after Sunday?",
    "What month comes after December?",
    "Hello, how are you?",
    "Who are you?",
    "Which larger, 3 or 12?",
    "Repeat after me: silver river lantern candle",
    "Say: the quick brown fox jumps over the lazy dog",
    "Give me JSON: Alice is 42 years old and lives in Rome.",
    "What is 3 + 4 + 5? /think",
    "Tell me a story.",
    "Write a short story.",
    "Count from 3 to 9.",
    "Something that nobody ever taught it: ä 🦊 ...",
]


@pytest.fixture(scope="module")
def both() -> Iterator[list[TextRuntime]]:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel here")
    made = []
    for name, model in (("openvino", "fluid-tiny-ov"), ("llamacpp", "fluid-tiny-gguf:F16")):
        runtime = create(name)
        assert isinstance(runtime, TextRuntime)
        properties = EXACT if name == "openvino" else {}
        runtime.load(SPECS[model], RuntimeOptions(parallel=4, properties=properties), lambda text, done: None)
        made.append(runtime)
    yield made
    for runtime in made:
        runtime.close()


def test_there_are_enough_prompts() -> None:
    assert len(set(PROMPTS)) >= 30


def test_both_runtimes_say_the_same(both: list[TextRuntime]) -> None:
    asked = [ask(prompt, max_tokens=80) for prompt in PROMPTS]
    heard = [[(text_of(events), usage_of(events)) for events in answers(runtime, *asked)] for runtime in both]
    differences = {
        prompt: (one[0], other[0])
        for prompt, one, other in zip(PROMPTS, *heard, strict=True)
        if (one[0], one[1].prompt_tokens, one[1].completion_tokens)
        != (other[0], other[1].prompt_tokens, other[1].completion_tokens)
    }
    assert differences == {}


def test_conversations_and_tool_results_render_alike(both: list[TextRuntime]) -> None:
    messages = (
        Message(role="system", content="Your name is Max."),
        Message(role="user", content="What is the weather in Paris?"),
        Message(role="assistant", content="", fields={"tool_calls": [call()]}),
        Message(role="tool", content='{"city": "Paris", "temperature": 21, "sky": "sunny"}'),
    )
    request = ask("", messages=messages, max_tokens=60)
    one, other = (answers(runtime, request)[0] for runtime in both)
    assert text_of(one) == text_of(other) == "The weather in Paris is sunny with 21 degrees."
    assert usage_of(one).prompt_tokens == usage_of(other).prompt_tokens


def call() -> dict[str, object]:
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    return {"id": "call_1", "type": "function", "function": function}
