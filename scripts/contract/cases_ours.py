"""What many local servers have beyond OpenAI's contract, by the names that their clients use. Not part of a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.contract.asking import CAPITAL, PERSON, STORY, TOOLS, Group, chat, complete, user
from scripts.contract.case import Ask, Case, Check, Reply
from scripts.contract.cases_responses import respond
from scripts.contract.checks import (
    all_of,
    answered,
    changed,
    counted,
    cut_at,
    each_choice,
    ended,
    fits,
    repeated,
    same,
    shown,
    unreasoned,
)
from scripts.contract.checks_stream import has_header, streamed, tells
from scripts.contract.reading import Choice

OURS = Group("beyond OpenAI's contract", "beyond OpenAI's contract", ours=True)
TEXT = "What is the capital of France? é 🦊"
BEGUN = [*user(CAPITAL), {"role": "assistant", "content": "The capital of"}]
NUMBER = "[0-9]{3}"
GBNF = 'root ::= "yes" | "no"'
LARK = 'start: "yes" | "no"'


def tokenize(**fields: Any) -> Ask:
    """A question to the tokenizer."""
    return Ask(path="/tokenize", body=fields)


def structured(**how: Any) -> Ask:
    """A chat whose answer has a form, as vLLM's clients ask for it."""
    return chat("Hello", structured_outputs=how, temperature=1.5, seed=1)


def one_of(*texts: str) -> Check:
    """Each choice is one of these texts."""
    return each_choice(lambda one: "" if one.text in texts else f"it says {shown(one.text)}")


def _number(choice: Choice) -> str:
    return "" if len(choice.text) == 3 and choice.text.isdigit() else f"it says {shown(choice.text)}"


def _counted_as_charged(replies: Sequence[Reply]) -> str:
    count, charged = replies[0].body["count"], replies[1].body["usage"]["prompt_tokens"]
    return "" if count == charged else f"{count} tokens are counted, {charged} are charged"


EXTRAS: tuple[Case, ...] = (
    OURS.case("top_k", "of 1 it is greedy", chat(), chat(temperature=1.5, top_k=1), check=same, about="top_k"),
    OURS.case(
        "min_p", "of next to 1 it is greedy", chat(), chat(temperature=1.5, min_p=0.99), check=same, about="min_p",
    ),
    OURS.case(
        "repetition_penalty", "it changes a long answer", chat(STORY), chat(STORY, repetition_penalty=1.8),
        check=changed, about="repetition_penalty",
    ),
    OURS.case(
        "ignore_eos", "the answer goes on to its limit", chat(ignore_eos=True, max_tokens=40), check=counted(40),
        about="ignore_eos",
    ),
    OURS.case(
        "keep_alive", "a time to stay loaded changes no answer", chat(), chat(keep_alive=-1), check=same,
        about="keep_alive",
    ),
    OURS.case(
        "chat_template_kwargs", "a switch of the template",
        chat("What is 2 + 3 + 4?", chat_template_kwargs={"enable_thinking": False}), check=each_choice(unreasoned),
        about="chat_template_kwargs",
    ),
    OURS.case(
        "continue_final_message", "the last message goes on", chat(BEGUN, continue_final_message=True),
        check=one_of(" France is Paris."), able=True, about="continue_final_message",
    ),
    OURS.case(
        "add_generation_prompt", "of false the turn is not begun", chat(),
        chat(add_generation_prompt=False, max_tokens=8), check=changed, about="add_generation_prompt",
    ),
    OURS.case(
        "timings", "how long each part took", chat(timings=True),
        check=tells("timings.total_ms", lambda total: total > 0), about="timings",
    ),
    OURS.case(
        "structured_outputs: json", "of a schema", structured(json=PERSON),
        check=all_of(ended("stop", "length"), fits(PERSON)), about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs: regex", "of a regular expression", structured(regex=NUMBER), check=each_choice(_number),
        about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs: choice", "one of some texts", structured(choice=["red", "green", "blue"]),
        check=one_of("red", "green", "blue"), about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs: grammar in GBNF", "derived from it", structured(grammar=GBNF), check=one_of("yes", "no"),
        about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs: grammar in Lark", "derived from it", structured(grammar=LARK), check=one_of("yes", "no"),
        about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs × stream", "in pieces", chat("Hello", structured_outputs={"choice": ["red"]}, stream=True),
        check=all_of(streamed, one_of("red")), about="structured_outputs",
    ),
    OURS.case(
        "structured_outputs × completions", "in completions too",
        complete("Hello", structured_outputs={"choice": ["red", "blue"]}), check=one_of("red", "blue"),
        about="structured_outputs",
    ),
    OURS.wrong(
        "structured_outputs of two kinds", chat(structured_outputs={"regex": "a", "choice": ["a"]}),
        about="structured_outputs",
    ),
    OURS.wrong(
        "structured_outputs of a broken expression", chat(structured_outputs={"regex": "("}),
        about="structured_outputs",
    ),
    OURS.wrong(
        "structured_outputs of a broken grammar", chat(structured_outputs={"grammar": "root ::= ("}),
        about="structured_outputs",
    ),
    OURS.case(
        "completions: top_k", "of 1 it is greedy", complete(), complete(temperature=1.5, top_k=1), check=same,
        about="top_k",
    ),
    OURS.case(
        "completions: min_p", "of next to 1 it is greedy", complete(), complete(temperature=1.5, min_p=0.99),
        check=same, about="min_p",
    ),
    OURS.case(
        "completions: repetition_penalty", "it changes a long answer", complete(max_tokens=48),
        complete(max_tokens=48, repetition_penalty=1.8), check=changed, about="repetition_penalty",
    ),
    OURS.case(
        "completions: ignore_eos", "it goes on to its limit", complete(ignore_eos=True, max_tokens=40),
        check=counted(40), about="ignore_eos",
    ),
    OURS.case(
        "completions: keep_alive", "it changes no answer", complete(), complete(keep_alive="5m"), check=same,
        about="keep_alive",
    ),
    OURS.case(
        "tokenize × detokenize", "a text comes back from its tokens", tokenize(prompt=TEXT),
        Ask(path="/detokenize", body={"tokens": "$0.tokens"}), check=tells("text", lambda text: text == TEXT),
        about="prompt tokens",
    ),
    OURS.case(
        "tokenize × messages", "a chat is counted as it is charged", tokenize(messages=user(CAPITAL)),
        chat(max_tokens=1), check=_counted_as_charged, about="messages",
    ),
    OURS.case(
        "tokenize × tools", "tools are counted", tokenize(messages=user(CAPITAL), tools=TOOLS),
        chat(tools=TOOLS, max_tokens=1), check=_counted_as_charged, about="messages tools",
    ),
    OURS.wrong(
        "detokenize of a token that no model has", Ask(path="/detokenize", body={"tokens": [2**31 - 1]}),
        about="tokens prompt",
    ),
    OURS.case(
        "x-request-id of the client", "it comes back",
        Ask(path="/chat/completions", body=chat().body, headers={"X-Request-ID": "abc-123"}),
        check=all_of(answered, has_header("x-request-id", lambda value: value == "abc-123")),
    ),
    OURS.case(
        "responses: top_k", "of 1 it is greedy", respond(), respond(temperature=1.5, top_k=1), check=same,
        about="top_k",
    ),
    OURS.case(
        "responses: min_p", "of next to 1 it is greedy", respond(), respond(temperature=1.5, min_p=0.99), check=same,
        about="min_p",
    ),
    OURS.case(
        "responses: repetition_penalty", "it changes a long answer", respond(STORY),
        respond(STORY, repetition_penalty=1.8), check=changed, about="repetition_penalty",
    ),
    OURS.case(
        "responses: presence_penalty", "it changes a long answer", respond(STORY), respond(STORY, presence_penalty=2),
        check=changed, about="presence_penalty",
    ),
    OURS.case(
        "responses: frequency_penalty", "it changes a long answer", respond(STORY),
        respond(STORY, frequency_penalty=2), check=changed, about="frequency_penalty",
    ),
    OURS.case(
        "responses: seed", "the same seed gives the same",
        *(respond(STORY, temperature=1, seed=seed, max_output_tokens=24) for seed in (1, 7, 7)), check=repeated,
        about="seed",
    ),
    OURS.case("responses: stop", "it cuts", respond(), respond(stop="France"), check=cut_at("France"), about="stop"),
    OURS.case(
        "responses: ignore_eos", "it goes on to its limit", respond(ignore_eos=True, max_output_tokens=40),
        check=counted(40), about="ignore_eos",
    ),
    OURS.case(
        "responses: keep_alive", "it changes no answer", respond(), respond(keep_alive="5m"), check=same,
        about="keep_alive",
    ),
    OURS.case(
        "responses: chat_template_kwargs", "a switch of the template",
        respond("What is 2 + 3 + 4?", chat_template_kwargs={"enable_thinking": False}), check=each_choice(unreasoned),
        about="chat_template_kwargs",
    ),
    OURS.case(
        "responses: timings", "how long each part took", respond(timings=True),
        check=tells("timings.total_ms", lambda total: total > 0), about="timings",
    ),
    OURS.case(
        "responses: image", "it is had or refused", respond(image={"size": "1024x1024"}),
        check=tells("output.0.type", lambda kind: kind == "image_generation_call"), about="image",
    ),
)  # fmt: skip
