"""What shows that a field was honoured. Each check takes the answers to a case and says what is wrong, or nothing.

Where a model's words would decide, an answer is held against a plain one that was asked for first: a field that
changes nothing it must change was ignored, whatever the model is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from scripts.contract.case import Check, Reply
from scripts.contract.reading import Answer, Choice, answer_of

SHOWN = 60
SURELY = 1e-3  # by which a sum of probabilities may be more than 1


def shown(value: object) -> str:
    """A value as reasons show it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def all_of(*checks: Check) -> Check:
    """The first thing that any of these finds."""

    def check(replies: Sequence[Reply]) -> str:
        return next((found for one in checks if (found := one(replies))), "")

    return check


def last(look: Callable[[Answer], str]) -> Check:
    """A check of the last answer alone."""
    return lambda replies: look(answer_of(replies[-1]))


def every(look: Callable[[Answer], str]) -> Check:
    """A check of each answer."""

    def check(replies: Sequence[Reply]) -> str:
        return next((found for reply in replies if (found := look(answer_of(reply)))), "")

    return check


def each_choice(look: Callable[[Choice], str]) -> Check:
    """A check of each choice of the last answer."""

    def found(answer: Answer) -> str:
        if not answer.choices:
            return "the answer has no choice"
        return next((said for choice in answer.choices if (said := look(choice))), "")

    return last(found)


# --- counts and ends -----------------------------------------------------------------------------------------


def adds_up(answer: Answer) -> str:
    """The usage is there and its counts are true to each other."""
    prompt, completion, total = (answer.used(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if min(prompt, completion, total) < 0:
        return "usage has not all three counts"
    if total != prompt + completion:
        return f"usage: {prompt} + {completion} is not {total}"
    cached = answer.used("prompt_tokens_details.cached_tokens")
    return f"more tokens cached ({cached}) than sent ({prompt})" if cached > prompt else ""


def ended(*reasons: str) -> Check:
    """Each choice has ended, and for one of these reasons."""
    return each_choice(lambda one: "" if one.finish in reasons else f"finish_reason is {one.finish}, not {reasons[0]}")


answered = all_of(every(adds_up), each_choice(lambda one: "" if one.text.strip() else "the answer has no text"))


def chose(number: int) -> Check:
    """So many choices."""
    return last(lambda answer: "" if len(answer.choices) == number else f"{len(answer.choices)} choices, not {number}")


def counted(tokens: int) -> Check:
    """Exactly that many tokens in all choices together, and each cut by the limit."""

    def look(answer: Answer) -> str:
        used = answer.used("completion_tokens")
        return "" if used == tokens else f"completion_tokens is {used}, not {tokens}"

    return all_of(last(look), ended("length"))


def cut_within(tokens: int) -> Check:
    """Cut by a limit that holds reasoning too."""

    def look(answer: Answer) -> str:
        used = answer.used("completion_tokens")
        return "" if 0 < used <= tokens else f"completion_tokens is {used}, more than {tokens}"

    return all_of(last(look), ended("length"))


def times_first(number: int) -> Check:
    """All choices are counted: so many times the first answer's tokens, the prompt once."""

    def check(replies: Sequence[Reply]) -> str:
        first, many = answer_of(replies[0]), answer_of(replies[-1])
        one, all_ = first.used("completion_tokens"), many.used("completion_tokens")
        if all_ != number * one:
            return f"completion_tokens is {all_}, not {number} times {one}"
        return "" if many.used("prompt_tokens") == first.used("prompt_tokens") else "the prompt is counted otherwise"

    return check


# --- texts ---------------------------------------------------------------------------------------------------


def says(*words: str) -> Check:
    """Each choice holds all these words, whatever their case."""

    def look(choice: Choice) -> str:
        missing = [word for word in words if word.casefold() not in choice.text.casefold()]
        return f"'{missing[0]}' is not in: {shown(choice.text)}" if missing else ""

    return each_choice(look)


def says_not(*words: str) -> Check:
    """No choice holds any of these texts."""

    def look(choice: Choice) -> str:
        found = [word for word in words if word in choice.text]
        return f"'{found[0]}' is in: {shown(choice.text)}" if found else ""

    return each_choice(look)


upper = each_choice(lambda one: "" if one.text.isupper() else f"not in capitals: {shown(one.text)}")


def same(replies: Sequence[Reply]) -> str:
    """Every choice of every answer has the text of the first."""
    first = answer_of(replies[0]).text
    texts = [text for reply in replies for text in answer_of(reply).texts]
    other = next((text for text in texts if text != first), None)
    return "" if other is None else f"{shown(first)} became {shown(other)}"


def changed(replies: Sequence[Reply]) -> str:
    """The last answer is another one than the first."""
    first, other = answer_of(replies[0]), answer_of(replies[-1])
    said = [(choice.text, choice.reasoning) for choice in first.choices]
    return "the answer is the same without it" if said == [(one.text, one.reasoning) for one in other.choices] else ""


def repeated(replies: Sequence[Reply]) -> str:
    """The last two answers are the same, and the first, of another seed, is not."""
    first, *both = [answer_of(reply).texts for reply in replies]
    if both[0] != both[1]:
        return f"the same seed gave {shown(both[0])} and {shown(both[1])}"
    return "two seeds gave the same" if first == both[0] else ""


varied = last(lambda answer: "" if len(set(answer.texts)) > 1 else "all choices are the same")


def cut_at(*stops: str) -> Check:
    """Each choice is the first answer's text up to the first of the stop texts, none of which is in it."""

    def check(replies: Sequence[Reply]) -> str:
        plain, answer = answer_of(replies[0]).text, answer_of(replies[-1])
        places = [plain.find(stop) for stop in stops if stop in plain]
        if not places:
            return f"the model does not say {shown(stops)} here: {shown(plain)}"
        wanted = plain[: min(places)]
        if any(text != wanted for text in answer.texts):
            return f"{shown(answer.text)} where {shown(wanted)} was left"
        return next((f"finish_reason is {one.finish}" for one in answer.choices if one.finish != "stop"), "")

    return check


def pieces(number: int) -> Check:
    """Each choice is one and the same piece of text, so many times."""

    def look(choice: Choice) -> str:
        length, rest = divmod(len(choice.text), number)
        whole = length and not rest and choice.text == choice.text[:length] * number
        return "" if whole else f"no token {number} times: {shown(choice.text)}"

    return each_choice(look)


def begins_with(text: str) -> Check:
    """Each choice begins with this text and goes on."""

    def look(choice: Choice) -> str:
        return "" if choice.text.startswith(text) and choice.text != text else f"begins with {shown(choice.text)}"

    return each_choice(look)


def begins_anew(replies: Sequence[Reply]) -> str:
    """The last answer does not begin as the first did."""
    first, other = answer_of(replies[0]).text, answer_of(replies[-1]).text
    return "what was banned is said all the same" if first and other.startswith(first) else ""


# --- JSON ----------------------------------------------------------------------------------------------------


def fits(schema: dict[str, Any]) -> Check:
    """Each choice is JSON that the schema describes, unless the limit cut it."""
    validator = Draft202012Validator(schema)

    def look(choice: Choice) -> str:
        return "" if choice.finish == "length" else misfit(choice.text, validator)

    return each_choice(look)


def misfit(text: str, validator: Draft202012Validator) -> str:
    """Why a text is not JSON of a schema."""
    try:
        value = json.loads(text)
    except ValueError:
        return f"no JSON: {shown(text)}"
    problem = next(validator.iter_errors(value), None)
    return f"{problem.json_path}: {shown(problem.message)}" if problem else ""


def all_fit(schema: dict[str, Any]) -> Check:
    """As ``fits``, for each answer of the case, and none of them is cut."""

    def check(replies: Sequence[Reply]) -> str:
        look = all_of(fits(schema), ended("stop"))
        return next((found for reply in replies if (found := look([reply]))), "")

    return check


# --- reasoning -----------------------------------------------------------------------------------------------


def reasoned(choice: Choice) -> str:
    """Reasoning stands apart from the answer, and no mark of it is left in the text."""
    if any(mark in choice.text for mark in ("<think>", "</think>")):
        return f"reasoning is in the text: {shown(choice.text)}"
    return "" if choice.reasoning.strip() else "no reasoning came"


def unreasoned(choice: Choice) -> str:
    """No reasoning."""
    return f"it reasoned: {shown(choice.reasoning)}" if choice.reasoning.strip() else ""


def reasoning_counted(answer: Answer) -> str:
    """The usage tells the tokens of reasoning."""
    tokens, spent = answer.used("completion_tokens_details.reasoning_tokens"), answer.used("completion_tokens")
    return "" if 0 < tokens <= spent else f"reasoning_tokens is {tokens} of {spent}"


# --- log probabilities ---------------------------------------------------------------------------------------


def logprobs(top: int | None = None, *, whole: bool = True) -> Check:
    """Each token of the text with its log probability and ``top`` likeliest ones (any number), the likeliest first.

    ``whole``: the tokens' texts joined are the text. Where a stop text cut it, the one begins with the other.
    """

    def look(choice: Choice) -> str:
        if not choice.tokens:
            return "logprobs are missing"
        joined = "".join(str(one["token"]) for one in choice.tokens)
        fit = joined == choice.text if whole else joined.startswith(choice.text) or choice.text.startswith(joined)
        if "\ufffd" not in joined and not fit:
            return f"the tokens are {shown(joined)}, the text is {shown(choice.text)}"
        return next((found for one in choice.tokens if (found := _odd(one, top))), "")

    return each_choice(look)


def _odd(token: Any, top: int | None) -> str:
    value = token["logprob"]
    if not isinstance(value, int | float) or value > SURELY:
        return f"{value} is no log probability"
    tops = [one["logprob"] for one in token.get("top_logprobs") or ()]
    if top and not top <= len(tops) <= top + 1:  # a completion may add the token that was drawn
        return f"{len(tops)} alternatives, not {top}"
    if top == 0 and len(tops) > 1:
        return f"{len(tops)} alternatives where none was asked for"
    if tops[:top] != sorted(tops[:top], reverse=True):
        return "the alternatives are not in order"
    return "the alternatives are likelier than can be" if sum(map(math.exp, tops[:top])) > 1 + SURELY else ""


def one_a_token(answer: Answer) -> str:
    """As many log probabilities as tokens."""
    told = sum(len(choice.tokens or ()) for choice in answer.choices)
    used = answer.used("completion_tokens")
    return "" if used - len(answer.choices) <= told <= used else f"{told} log probabilities of {used} tokens"


without_logprobs = each_choice(lambda one: "logprobs came unasked" if one.tokens else "")
