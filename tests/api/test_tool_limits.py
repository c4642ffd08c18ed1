"""Functions whose parameters are more than a server can look through, or a worker can be sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.front_door import ECHO, error_of

LARGE = {f"p{number}": {"type": "string", "description": "x" * 1000} for number in range(150)}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": LARGE,
    "required": list(LARGE),
    "additionalProperties": False,
}


def nested(levels: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        parameters = {"a": parameters}
    return parameters


def ask(http: httpx.Client, path: str, functions: list[dict[str, Any]]) -> httpx.Response:
    if path == "responses":
        tools = [{"type": "function", **function} for function in functions]
        return http.post("/v1/responses", json={"model": ECHO, "input": "Hi", "tools": tools})
    wrapped = [{"type": "function", "function": function} for function in functions]
    messages = [{"role": "user", "content": "Hi"}]
    return http.post("/v1/chat/completions", json={"model": ECHO, "messages": messages, "tools": wrapped})


@pytest.mark.parametrize("path", ["chat", "responses"])
@pytest.mark.parametrize("levels", [300, 700])
def test_parameters_nested_too_deeply_for_a_worker_are_refused(http: httpx.Client, path: str, levels: int) -> None:
    answer = ask(http, path, [{"name": "f", "parameters": nested(levels), "strict": False}])
    assert error_of(answer, 400)["message"].startswith("'tools")


@pytest.mark.parametrize("path", ["chat", "responses"])
def test_strict_functions_share_one_limit(http: httpx.Client, path: str) -> None:
    functions = [{"name": f"f{number}", "parameters": STRICT, "strict": True} for number in range(2)]
    alone = error_of(ask(http, path, functions[:1]), 400)
    assert alone["code"] == "unsupported_parameter"  # it got as far as the model, and echo can be held to nothing
    assert "together" in error_of(ask(http, path, functions), 400)["message"]
