"""POST /v1/chat/completions through every text runtime, as the official client sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.front_door import ECHO, GGUF, LANGUAGE_MODELS, OPENVINO, error_of

MODELS = (*LANGUAGE_MODELS, ECHO)
ENGINES = (OPENVINO, GGUF)
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
CHAT = "/v1/chat/completions"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def asking(model: str, question: Any = QUESTION, **fields: Any) -> dict[str, Any]:
    """A greedy request, with its messages or one question."""
    messages = [user(question)] if isinstance(question, str) else question
    return {"model": model, "messages": messages, "temperature": 0, **fields}


def answered(client: openai.OpenAI, model: str, question: Any = QUESTION, **fields: Any) -> ChatCompletion:
    answer: ChatCompletion = client.chat.completions.create(**asking(model, question, **fields))
    return answer


def texts(answer: ChatCompletion) -> list[str]:
    return [choice.message.content or "" for choice in answer.choices]


def streamed(client: openai.OpenAI, model: str, question: Any = QUESTION, **fields: Any) -> list[ChatCompletionChunk]:
    with client.chat.completions.create(**asking(model, question, stream=True, **fields)) as stream:
        return list(stream)


def joined(chunks: Sequence[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == index)


def reasons(chunks: Sequence[ChatCompletionChunk]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


# --- whole answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
def test_a_greedy_answer_is_right_and_counted_exactly(client: openai.OpenAI, model: str) -> None:
    answer = answered(client, model)
    assert texts(answer) == [ANSWER]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (17, 10, 27)


def test_echo_repeats_the_last_user_message(client: openai.OpenAI) -> None:
    answer = answered(client, ECHO, [user("one"), assistant("one"), user("two three")])
    assert texts(answer) == ["two three"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_the_official_object(http: httpx.Client, model: str) -> None:
    body = http.post(CHAT, json=asking(model, max_tokens=3)).raise_for_status().json()
    answer = ChatCompletion.model_validate(body, strict=True)
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == model
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].logprobs is None


def test_every_answer_has_its_own_id(client: openai.OpenAI) -> None:
    assert len({answered(client, ECHO).id for _ in range(3)}) == 3


def test_an_alias_answers_under_the_full_name(client: openai.OpenAI) -> None:
    answer = answered(client, "fluid-tiny-gguf")
    assert (answer.model, texts(answer)) == ("fluid-tiny-gguf:Q8_0", [ANSWER])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_ends_the_answer_with_length(client: openai.OpenAI, model: str, limit: str) -> None:
    answer = answered(client, model, **{limit: 2})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    assert len(texts(answer)[0].split()) <= 2


def test_max_completion_tokens_wins_over_max_tokens(client: openai.OpenAI) -> None:
    assert texts(answered(client, ECHO, "a b c d", max_tokens=3, max_completion_tokens=2)) == ["a b"]


@pytest.mark.parametrize("model", ENGINES)
def test_a_limit_beyond_the_context_is_no_error(client: openai.OpenAI, model: str) -> None:
    assert texts(answered(client, model, max_tokens=1_000_000)) == [ANSWER]


@pytest.mark.parametrize("model", ENGINES)
def test_without_a_limit_the_context_ends_the_answer(client: openai.OpenAI, model: str) -> None:
    answer = answered(client, model, "Count from 1 to 40. " * 180, extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 2048


@pytest.mark.parametrize("model", MODELS)
def test_nulls_mean_nothing_was_asked(client: openai.OpenAI, model: str) -> None:
    names = ("top_p", "max_tokens", "stop", "n", "seed", "presence_penalty", "stream", "tools", "response_format")
    answer = answered(client, model, extra_body=dict.fromkeys(names))
    assert texts(answer) == [QUESTION if model == ECHO else ANSWER]


# --- streams ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_joins_to_the_whole_answer(client: openai.OpenAI, model: str) -> None:
    chunks = streamed(client, model)
    assert joined(chunks) == texts(answered(client, model))[0]
    assert reasons(chunks) == ["stop"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].choices[0].delta.content is None


@pytest.mark.parametrize("model", MODELS)
def test_the_role_comes_first_and_once(client: openai.OpenAI, model: str) -> None:
    roles = [choice.delta.role for chunk in streamed(client, model) for choice in chunk.choices]
    assert roles == ["assistant", *[None] * (len(roles) - 1)]


@pytest.mark.parametrize("model", MODELS)
def test_usage_comes_last_where_it_was_asked_for(client: openai.OpenAI, model: str) -> None:
    chunks = streamed(client, model, stream_options={"include_usage": True})
    whole = answered(client, model).usage
    assert whole is not None
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_copy(update={"prompt_tokens_details": None}) == whole.model_copy(
        update={"prompt_tokens_details": None}
    )
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}, {"stream_options": None}])
def test_usage_stays_away_where_it_was_not_asked_for(client: openai.OpenAI, options: dict[str, Any]) -> None:
    chunks = streamed(client, ECHO, **options)
    assert all(chunk.choices and "usage" not in chunk.model_fields_set for chunk in chunks)


@pytest.mark.parametrize("model", MODELS)
def test_the_wire_holds_data_lines_and_done(http: httpx.Client, model: str) -> None:
    body = asking(model, stream=True, n=2, stream_options={"include_usage": True})
    response = http.post(CHAT, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"].startswith("no-")
    assert response.content.endswith(b"data: [DONE]\n\n")
    assert b"\r" not in response.content
    events = response.content.removesuffix(b"\n\n").split(b"\n\n")
    assert all(event.startswith((b"data: ", b":")) and b"\n" not in event for event in events)
    chunks = [ChatCompletionChunk.model_validate_json(event[6:], strict=True) for event in events[:-1]]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_several_choices_in_one_stream(client: openai.OpenAI, model: str) -> None:
    chunks = streamed(client, model, n=3)
    assert {joined(chunks, index) for index in range(3)} == {QUESTION if model == ECHO else ANSWER}
    assert reasons(chunks) == ["stop"] * 3


@pytest.mark.parametrize("model", ENGINES)
def test_a_failure_before_the_first_token_still_has_its_status(http: httpx.Client, model: str) -> None:
    error = error_of(http.post(CHAT, json=asking(model, "apple " * 3000, stream=True)), 400)
    assert error["code"] == "context_length_exceeded"


# --- choices and sampling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_several_choices_are_counted_together(client: openai.OpenAI, model: str) -> None:
    one, two = answered(client, model), answered(client, model, n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert texts(two) == texts(one) * 2
    assert one.usage is not None
    assert two.usage is not None
    assert two.usage.prompt_tokens == one.usage.prompt_tokens
    assert two.usage.completion_tokens == 2 * one.usage.completion_tokens


@pytest.mark.parametrize("model", ENGINES)
def test_a_seed_draws_the_same_again(client: openai.OpenAI, model: str) -> None:
    def story(seed: int) -> str:
        return texts(answered(client, model, "Tell me a story.", temperature=1, seed=seed, max_tokens=24))[0]

    assert story(7) == story(7)
    assert len({story(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("model", ENGINES)
def test_choices_of_one_seed_differ(client: openai.OpenAI, model: str) -> None:
    answer = answered(client, model, "Tell me a story.", temperature=1, seed=3, n=4, max_tokens=24)
    assert len(set(texts(answer))) > 1


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("seed", [-1, 0, 2**31, 2**63 - 1])
def test_any_seed_is_taken(client: openai.OpenAI, model: str, seed: int) -> None:
    assert texts(answered(client, model, seed=seed)) == [ANSWER]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize(
    "narrow", [{"top_p": 0}, {"top_p": 1e-9}, {"extra_body": {"top_k": 1}}, {"extra_body": {"min_p": 0.99}}], ids=str
)
def test_narrow_sampling_is_greedy_again(client: openai.OpenAI, model: str, narrow: dict[str, Any]) -> None:
    assert texts(answered(client, model, temperature=1.5, **narrow)) == [ANSWER]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_a_penalty_changes_a_repetitive_answer(client: openai.OpenAI, model: str, penalty: str) -> None:
    plain = answered(client, model, "Tell me a story.", max_tokens=60)
    punished = answered(client, model, "Tell me a story.", max_tokens=60, **{penalty: 2.0})
    assert texts(plain) != texts(punished)


# --- stop strings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LANGUAGE_MODELS)
@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (" Paris", "The capital of France is"),
        ("pital of Fr", "The ca"),
        (["zebra", "ance is P"], "The capital of Fr"),
        ([".", "France"], "The capital of "),
        ("The", ""),
        ("Parisian", ANSWER),
        ([], ANSWER),
    ],
    ids=str,
)
def test_a_stop_string_ends_the_answer_and_never_leaks(
    client: openai.OpenAI, model: str, stop: str | list[str], left: str
) -> None:
    answer, chunks = answered(client, model, stop=stop), streamed(client, model, stop=stop)
    assert texts(answer) == [left] == [joined(chunks)]
    assert [answer.choices[0].finish_reason] == ["stop"] == reasons(chunks)


def test_a_stop_string_across_words_of_echo(client: openai.OpenAI) -> None:
    question = "one two three four"
    assert texts(answered(client, ECHO, question, stop="wo thr")) == ["one t"]
    assert joined(streamed(client, ECHO, question, stop=["four", "e f"])) == "one two thre"


def test_a_beginning_of_a_stop_string_is_given_at_the_limit(client: openai.OpenAI) -> None:
    answer = answered(client, ECHO, "one two three", stop="two four", max_tokens=2)
    assert (texts(answer), answer.choices[0].finish_reason) == (["one two"], "length")


# --- messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_are_followed(client: openai.OpenAI, model: str, role: str) -> None:
    named = [{"role": role, "content": "Your name is Alice."}, user("Who are you?")]
    assert texts(answered(client, model, named)) == ["I am Alice."]


@pytest.mark.parametrize("model", ENGINES)
def test_earlier_turns_are_remembered(client: openai.OpenAI, model: str) -> None:
    turns = [user("Hi, my name is Tina."), assistant("Nice to meet you, Tina!"), user("What is my name?")]
    assert texts(answered(client, model, turns)) == ["Your name is Tina."]


@pytest.mark.parametrize("model", ENGINES)
@pytest.mark.parametrize("content", [None, "", []], ids=str)
def test_a_tool_result_is_answered_from(client: openai.OpenAI, model: str, content: Any) -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    result = '{"city": "Rome", "temperature": 21, "sky": "sunny"}'
    messages = [
        user("What is the weather in Rome?"),
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]
    assert texts(answered(client, model, messages)) == ["The weather in Rome is sunny with 21 degrees."]


@pytest.mark.parametrize("model", MODELS)
def test_content_parts_are_one_text(client: openai.OpenAI, model: str) -> None:
    parts = [{"type": "text", "text": "What is the capital"}, {"type": "text", "text": " of France?"}]
    split = answered(client, model, [{"role": "user", "content": parts}])
    assert texts(split) == texts(answered(client, model))


def test_an_answer_of_the_client_can_be_sent_back(client: openai.OpenAI) -> None:
    earlier = answered(client, ECHO, "first").choices[0].message.model_dump()
    assert texts(answered(client, ECHO, [user("first"), earlier, user("second")])) == ["second"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_name_is_taken_in_any_message(client: openai.OpenAI, model: str, role: str) -> None:
    messages = [{"role": role, "content": "Hello", "name": "ann"}, user(QUESTION)]
    assert answered(client, model, messages, max_tokens=3).choices


@pytest.mark.parametrize("text", ["Zürich 東京 😀👩‍👩‍👧 e\u0301", "a\u2028b\x00c", 'quo"te\\ \n\n data: x'])
def test_any_text_comes_back_as_it_went(client: openai.OpenAI, text: str) -> None:
    assert texts(answered(client, ECHO, text)) == [text] == [joined(streamed(client, ECHO, text))]


@pytest.mark.parametrize("model", ENGINES)
def test_unicode_from_an_engine_is_whole(client: openai.OpenAI, model: str) -> None:
    fields: dict[str, Any] = {"max_tokens": 100, "extra_body": {"ignore_eos": True}}
    whole = texts(answered(client, model, "Zürich 東京 😀", **fields))[0]
    assert joined(streamed(client, model, "Zürich 東京 😀", **fields)) == whole
    assert "\ufffd" not in whole


@pytest.mark.parametrize("model", ENGINES)
def test_a_switch_of_the_template_is_passed_on(client: openai.OpenAI, model: str) -> None:
    answer = answered(client, model, extra_body={"chat_template_kwargs": {"enable_thinking": True}})
    assert texts(answer)[0] == ANSWER
    plain = answered(client, model)
    assert answer.usage is not None
    assert plain.usage is not None
    assert answer.usage.completion_tokens > plain.usage.completion_tokens  # it has thought


# --- stored ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_to_be_stored_is_found_again(client: openai.OpenAI, stream: bool) -> None:
    fields: dict[str, Any] = {"store": True, "metadata": {"colour": "red"}}
    if stream:
        id_ = streamed(client, ECHO, "Hello there", **fields)[0].id
    else:
        answer = answered(client, ECHO, "Hello there", **fields)
        assert answer.metadata == {"colour": "red"}
        id_ = answer.id
    kept = client.chat.completions.retrieve(id_)
    assert (texts(kept), kept.metadata) == (["Hello there"], {"colour": "red"})
    (message,) = client.chat.completions.messages.list(id_).data
    assert (message.role, message.content) == ("user", "Hello there")
    assert id_ in [one.id for one in client.chat.completions.list(metadata={"colour": "red"})]
    client.chat.completions.delete(id_)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(id_)


def test_an_answer_is_not_stored_unless_it_is_to_be(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(answered(client, ECHO, "Hello").id)
