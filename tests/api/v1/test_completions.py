"""POST /v1/completions: text that is continued, without a chat template."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion

from tests.front_door import ECHO, GGUF, LANGUAGE_MODELS, OPENVINO, WHISPER, error_of

ENGINES = (OPENVINO, GGUF)
PROMPT = "<|im_start|>user\nWhat is the capital of {}?<|im_end|>\n<|im_start|>assistant\n"
FRANCE, SPAIN = PROMPT.format("France"), PROMPT.format("Spain")
COMPLETIONS = "/v1/completions"


def completed(client: openai.OpenAI, model: str, prompt: Any, **fields: Any) -> Completion:
    answer: Completion = client.completions.create(model=model, prompt=prompt, temperature=0, **fields)
    return answer


def texts(answer: Completion) -> list[str]:
    return [choice.text for choice in answer.choices]


def streamed(client: openai.OpenAI, model: str, prompt: Any, **fields: Any) -> list[Completion]:
    with client.completions.create(model=model, prompt=prompt, temperature=0, stream=True, **fields) as stream:
        return list(stream)


def joined(chunks: list[Completion], index: int = 0) -> str:
    return "".join(choice.text for chunk in chunks for choice in chunk.choices if choice.index == index)


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_prompt_is_continued_and_counted(client: openai.OpenAI, model: str) -> None:
    answer = completed(client, model, FRANCE, max_tokens=32)
    assert texts(answer) == ["The capital of France is Paris."]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (17, 10)


@pytest.mark.parametrize("model", [*LANGUAGE_MODELS, ECHO])
def test_an_answer_is_the_official_object(http: httpx.Client, model: str) -> None:
    response = http.post(COMPLETIONS, json={"model": model, "prompt": "a b c", "max_tokens": 2})
    answer = Completion.model_validate(response.raise_for_status().json(), strict=True)
    assert answer.id.startswith("cmpl-")
    assert (answer.object, answer.model) == ("text_completion", model)
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("model", ENGINES)
def test_sixteen_tokens_are_the_default(client: openai.OpenAI, model: str) -> None:
    answer = completed(client, model, "Once upon a time, there was")
    assert answer.usage is not None
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (16, "length")


@pytest.mark.parametrize("model", ENGINES)
def test_several_prompts_answer_in_their_order(client: openai.OpenAI, model: str) -> None:
    answer = completed(client, model, [FRANCE, SPAIN], max_tokens=32, n=2)
    paris, madrid = "The capital of France is Paris.", "The capital of Spain is Madrid."
    assert texts(answer) == [paris, paris, madrid, madrid]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("model", ENGINES)
def test_token_ids_are_a_prompt_too(client: openai.OpenAI, model: str) -> None:
    whole = completed(client, model, [[500, 600, 700], [500, 600, 700]], max_tokens=4)
    alone = completed(client, model, [500, 600, 700], max_tokens=4)
    assert texts(whole) == texts(alone) * 2
    assert alone.usage is not None
    assert alone.usage.prompt_tokens == 3


@pytest.mark.parametrize("model", [*ENGINES, ECHO])
def test_a_stream_joins_to_the_whole_answer(client: openai.OpenAI, model: str) -> None:
    fields: dict[str, Any] = {"max_tokens": 8, "n": 2}
    chunks = streamed(client, model, [FRANCE, SPAIN], stream_options={"include_usage": True}, **fields)
    whole = completed(client, model, [FRANCE, SPAIN], **fields)
    assert [joined(chunks, index) for index in range(4)] == texts(whole)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


@pytest.mark.parametrize("model", [*ENGINES, ECHO])
def test_echo_gives_the_prompt_back_first(client: openai.OpenAI, model: str) -> None:
    plain = texts(completed(client, model, "a b c", max_tokens=4))[0]
    assert texts(completed(client, model, "a b c", max_tokens=4, echo=True)) == ["a b c" + plain]
    assert joined(streamed(client, model, "a b c", max_tokens=4, echo=True)) == "a b c" + plain


def test_the_wire_holds_data_lines_and_done(http: httpx.Client) -> None:
    response = http.post(COMPLETIONS, json={"model": ECHO, "prompt": "a b c", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.content.endswith(b"data: [DONE]\n\n")
    events = response.content.removesuffix(b"\n\n").split(b"\n\n")
    assert all(event.startswith(b"data: ") and b"\n" not in event for event in events)
    chunks = [json.loads(event[6:]) for event in events[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [*[None] * (len(reasons) - 1), "stop"]


@pytest.mark.parametrize("model", ENGINES)
def test_a_stop_string_ends_the_text(client: openai.OpenAI, model: str) -> None:
    answer = completed(client, model, FRANCE, max_tokens=32, stop=["is P", "zebra"])
    assert (texts(answer), answer.choices[0].finish_reason) == (["The capital of France "], "stop")


@pytest.mark.parametrize(
    "prompt", [[], 5, None, {}, [[]], ["a", 5], [[1], "a"], [1, "a"], [-1], [1.5], [[1, -1]], [2**31]], ids=str
)
def test_a_prompt_of_another_shape_is_refused(http: httpx.Client, prompt: Any) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": ECHO, "prompt": prompt}), 400)
    assert error["param"] == "prompt"


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("prompt", ["", [2048], [[1], [99_999]], "apple " * 3000], ids=["none", "id", "ids", "long"])
def test_a_prompt_that_the_model_cannot_take_is_refused(http: httpx.Client, model: str, prompt: Any) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": model, "prompt": prompt}), 400)
    assert error["param"] == "prompt"
    assert completed_fine(http, model)


def completed_fine(http: httpx.Client, model: str) -> bool:
    return http.post(COMPLETIONS, json={"model": model, "prompt": "The", "max_tokens": 1}).is_success


@pytest.mark.parametrize(("field", "value"), [("suffix", "end"), ("logit_bias", {"5": 1})])
def test_a_field_that_a_model_cannot_honour_is_refused_by_name(http: httpx.Client, field: str, value: Any) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": ECHO, "prompt": "a", field: value}), 400)
    assert (error["param"], error["code"]) == (field, "unsupported_parameter")


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("logprobs", {"logprobs": 1, "echo": True}),
        ("logprobs", {"logprobs": 6}),
        ("echo", {"echo": True, "suffix": "end"}),
        ("best_of", {"best_of": 1, "n": 2}),
        ("best_of", {"best_of": 2, "stream": True}),
        ("best_of", {"best_of": 1000}),
        ("suffix", {"suffix": "end", "prompt": [1]}),
        ("structured_outputs", {"structured_outputs": {}}),
        ("logit_bias.x", {"logit_bias": {"x": 1}}),
        ("logit_bias", {"logit_bias": {"5": 101}}),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(http: httpx.Client, field: str, fields: dict[str, Any]) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": ECHO, "prompt": "a", **fields}), 400)
    assert error["param"] == field


def test_each_token_comes_with_its_log_probability(client: openai.OpenAI) -> None:
    answer = completed(client, ECHO, "a bc d", logprobs=2)
    tokens = answer.choices[0].logprobs
    assert tokens is not None
    assert tokens.tokens == ["a", " bc", " d"]
    assert (tokens.token_logprobs, tokens.text_offset) == ([0.0, 0.0, 0.0], [0, 1, 4])
    assert tokens.top_logprobs == [{"a": 0.0}, {" bc": 0.0}, {" d": 0.0}]


def test_streamed_log_probabilities_are_those_of_the_whole(client: openai.OpenAI) -> None:
    whole = completed(client, ECHO, "a bc d", logprobs=1).choices[0].logprobs
    parts = [choice.logprobs for chunk in streamed(client, ECHO, "a bc d", logprobs=1) for choice in chunk.choices]
    found = [part for part in parts if part is not None]
    assert whole is not None
    assert [token for part in found for token in part.tokens or []] == whole.tokens
    assert [offset for part in found for offset in part.text_offset or []] == whole.text_offset


def test_the_best_of_several_is_kept(client: openai.OpenAI) -> None:
    answer = completed(client, ECHO, "a b", best_of=3, n=2)
    assert texts(answer) == ["a b", "a b"]
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6


def test_echo_of_token_ids_is_refused(http: httpx.Client) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": ECHO, "prompt": [1], "echo": True}), 400)
    assert error["param"] == "echo"


def test_a_speech_model_completes_nothing(http: httpx.Client) -> None:
    error = error_of(http.post(COMPLETIONS, json={"model": WHISPER, "prompt": "a"}), 400)
    assert (error["param"], error["code"]) == ("model", "model_not_capable")


def test_too_many_answers_are_refused_by_the_name_that_was_sent(http: httpx.Client) -> None:
    for field in ("n", "best_of"):
        response = http.post(COMPLETIONS, json={"model": ECHO, "prompt": "a", field: 99})
        assert error_of(response, 400)["param"] == field
