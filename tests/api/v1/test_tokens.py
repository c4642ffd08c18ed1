"""POST /v1/tokenize and /v1/detokenize, on every text runtime."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.front_door import ECHO, GGUF, LANGUAGE_MODELS, OPENVINO, error_of

MODELS = (*LANGUAGE_MODELS, ECHO)
TEXT = "What is the capital of France? é 🦊"
CHAT: Any = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}


def tokens(http: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    answer = http.post("/v1/tokenize", json={"model": model, **fields})
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("model", MODELS)
def test_a_text_comes_back_from_its_tokens(http: httpx.Client, model: str) -> None:
    found = tokens(http, model, prompt=TEXT, pieces=True)
    assert found["count"] == len(found["tokens"]) == len(found["pieces"])
    back = http.post("/v1/detokenize", json={"model": model, "tokens": found["tokens"]}).json()
    assert back["text"] == TEXT


def test_both_engines_cut_a_text_alike(http: httpx.Client) -> None:
    assert tokens(http, OPENVINO, prompt=TEXT)["tokens"] == tokens(http, GGUF, prompt=TEXT)["tokens"]


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_chat_is_counted_as_it_is_charged(http: httpx.Client, client: openai.OpenAI, model: str) -> None:
    count = tokens(http, model, messages=CHAT)["count"]
    usage = client.chat.completions.create(model=model, messages=CHAT, max_tokens=1).usage
    assert usage is not None
    assert usage.prompt_tokens == count


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_special_tokens_have_their_text(http: httpx.Client, model: str) -> None:
    found = tokens(http, model, messages=CHAT)
    back = http.post("/v1/detokenize", json={"model": model, "tokens": found["tokens"]}).json()
    assert back["text"].startswith("<|im_start|>user\n")
    assert found["context_length"] == 2048


def test_without_the_generation_prompt_it_is_shorter(http: httpx.Client) -> None:
    whole, without = (
        tokens(http, GGUF, messages=CHAT, add_generation_prompt=wanted)["tokens"] for wanted in (True, False)
    )
    assert whole[: len(without)] == without
    assert len(without) < len(whole)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "a", "messages": CHAT}, "prompt"),
        ({"prompt": "a", "tools": [TOOL]}, "tools"),
        ({"prompt": 3}, "prompt"),
        ({"messages": []}, "messages"),
        ({"prompt": "a", "piece": True}, "piece"),
    ],
)
def test_what_is_no_question_is_refused_by_name(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    assert error_of(http.post("/v1/tokenize", json={"model": ECHO, **fields}), 400)["param"] == param


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_ids_outside_of_the_vocabulary_are_refused(http: httpx.Client, model: str) -> None:
    error = error_of(http.post("/v1/detokenize", json={"model": model, "tokens": [2_000_000]}), 400)
    assert error["param"] == "tokens"
    assert tokens(http, model, prompt="a")["count"] == 1


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_half_a_character_has_no_tokens(http: httpx.Client, model: str) -> None:
    body = json.dumps({"model": model, "prompt": "half \ud83d"})
    response = http.post("/v1/tokenize", content=body, headers={"Content-Type": "application/json"})
    assert error_of(response, 400)["code"] == "invalid_unicode"
