"""Text completions."""

from __future__ import annotations

from scripts.contract.asking import PROMPT, Group, complete
from scripts.contract.case import Case
from scripts.contract.checks import (
    adds_up,
    all_of,
    answered,
    begins_with,
    changed,
    chose,
    counted,
    cut_at,
    ended,
    every,
    last,
    logprobs,
    one_a_token,
    pieces,
    repeated,
    same,
    times_first,
    varied,
)
from scripts.contract.checks_stream import streamed, usage_last
from scripts.contract.reading import Answer

TEXTS = Group("completions", "completions")
TOKENS = [500, 600, 700]
TWO = [PROMPT, "The king and the queen"]
FORCED = {"1000": 100}
SMALLEST = {str(token): -100 for token in range(300)}
USAGE = {"include_usage": True}


def _three_or_four(answer: Answer) -> str:
    """The tokens themselves, perhaps behind one for the beginning."""
    used = answer.used("prompt_tokens")
    return "" if used in (3, 4) else f"3 tokens are counted as {used}"


COMPLETED: tuple[Case, ...] = (
    TEXTS.case(
        "completions: a prompt is continued", "text, an end and a usage", complete(), check=answered, about="prompt",
    ),
    TEXTS.case(
        "completions: several prompts", "a choice for each", complete(TWO), check=all_of(chose(2), every(adds_up)),
        about="prompt",
    ),
    TEXTS.case(
        "completions: token ids", "a prompt in tokens", complete(TOKENS),
        check=all_of(answered, last(_three_or_four)),
        about="prompt",
    ),
    TEXTS.case(
        "completions: several prompts in token ids", "a choice for each", complete([TOKENS, TOKENS]),
        check=all_of(chose(2), same), about="prompt",
    ),
    TEXTS.case(
        "completions: several prompts × n", "n choices for each", complete(TWO, n=2), check=chose(4), about="prompt n",
    ),
    TEXTS.case(
        "completions: several prompts × stream", "each to its end", complete(TWO, stream=True),
        check=all_of(streamed, chose(2)), about="prompt",
    ),
    TEXTS.case(
        "completions: max_tokens", "so many tokens", complete(max_tokens=5), check=counted(5), about="max_tokens",
    ),
    TEXTS.case(
        "completions: max_tokens by default", "16, as OpenAI has it", complete(max_tokens=...), check=counted(16),
        about="max_tokens",
    ),
    TEXTS.case("completions: temperature", "0 is greedy", complete(), complete(), check=same, about="temperature"),
    TEXTS.case(
        "completions: temperature × n", "at 2 choices differ", complete(temperature=2, n=4, max_tokens=16),
        check=all_of(chose(4), varied), about="temperature n",
    ),
    TEXTS.case(
        "completions: top_p", "of next to nothing it is greedy", complete(), complete(temperature=1.5, top_p=1e-6),
        check=same, about="top_p",
    ),
    TEXTS.case(
        "completions: seed", "the same seed gives the same",
        *(complete(temperature=1, seed=seed, max_tokens=24) for seed in (1, 7, 7)), check=repeated, about="seed",
    ),
    TEXTS.case(
        "completions: presence_penalty", "it changes a long answer", complete(max_tokens=48),
        complete(max_tokens=48, presence_penalty=2), check=changed, about="presence_penalty",
    ),
    TEXTS.case(
        "completions: frequency_penalty", "it changes a long answer", complete(max_tokens=48),
        complete(max_tokens=48, frequency_penalty=2), check=changed, about="frequency_penalty",
    ),
    TEXTS.case(
        "completions: logit_bias", "100 forces a token", complete(logit_bias=FORCED, max_tokens=4), check=pieces(4),
        about="logit_bias",
    ),
    TEXTS.case(
        "completions: logit_bias of -100", "it bans tokens", complete(max_tokens=32),
        complete(max_tokens=32, logit_bias=SMALLEST), check=changed, about="logit_bias",
    ),
    TEXTS.case(
        "completions: n", "so many choices, all counted", complete(), complete(n=3),
        check=all_of(chose(3), times_first(3), same), about="n",
    ),
    TEXTS.case(
        "completions: n × stream", "each to its end", complete(), complete(n=2, stream=True),
        check=all_of(streamed, chose(2), same), about="n",
    ),
    TEXTS.case("completions: stop", "it cuts", complete(), complete(stop="e"), check=cut_at("e"), about="stop"),
    TEXTS.case(
        "completions: stop × stream", "nothing leaks", complete(), complete(stop="e", stream=True),
        check=all_of(streamed, cut_at("e")), about="stop",
    ),
    TEXTS.case(
        "completions: stop × n", "in each choice", complete(), complete(stop=["zebra", "e"], n=2),
        check=all_of(chose(2), cut_at("e")), about="stop n",
    ),
    TEXTS.case(
        "completions: stream", "the same text in pieces", complete(), complete(stream=True),
        check=all_of(streamed, same), about="stream",
    ),
    TEXTS.case(
        "completions: include_usage", "a last chunk with the usage", complete(),
        complete(stream=True, stream_options=USAGE), check=all_of(streamed, usage_last, times_first(1)),
        about="stream_options",
    ),
    TEXTS.case(
        "completions: echo", "the prompt comes first", complete(echo=True), check=begins_with(PROMPT), about="echo",
    ),
    TEXTS.case(
        "completions: echo × n", "in each choice", complete(echo=True, n=2),
        check=all_of(chose(2), begins_with(PROMPT)), about="echo n",
    ),
    TEXTS.case(
        "completions: echo × stream", "in a stream", complete(echo=True, stream=True),
        check=all_of(streamed, begins_with(PROMPT)), about="echo",
    ),
    TEXTS.case(
        "completions: echo × stop", "the prompt is not searched", complete(echo=True),
        complete(echo=True, stop="time"), check=begins_with(PROMPT), about="echo stop",
    ),
    TEXTS.case(
        "completions: echo × logprobs", "the prompt's tokens have theirs", complete(echo=True, logprobs=1),
        check=all_of(begins_with(PROMPT), logprobs(1)), about="logprobs echo",
    ),
    TEXTS.case(
        "completions: echo of false", "as without it", complete(), complete(echo=False), check=same, about="echo",
    ),
    TEXTS.case(
        "completions: logprobs of 0", "no alternatives", complete(logprobs=0),
        check=all_of(logprobs(0), last(one_a_token)), about="logprobs",
    ),
    TEXTS.case(
        "completions: logprobs of 3", "three alternatives", complete(logprobs=3), check=logprobs(3), about="logprobs",
    ),
    TEXTS.case(
        "completions: logprobs × stream", "in a stream", complete(logprobs=2, stream=True),
        check=all_of(streamed, logprobs(2)), about="logprobs",
    ),
    TEXTS.case(
        "completions: logprobs × stop", "those of the text that is left", complete(), complete(logprobs=0, stop="e"),
        check=all_of(cut_at("e"), logprobs(whole=False)), about="logprobs stop",
    ),
    TEXTS.case(
        "completions: best_of", "the best is given, all are counted", complete(), complete(best_of=3),
        check=all_of(chose(1), times_first(3), same), about="best_of",
    ),
    TEXTS.case(
        "completions: best_of × n", "the best two of four", complete(temperature=1, best_of=4, n=2, seed=8),
        check=all_of(chose(2), counted(32)), about="best_of n",
    ),
    TEXTS.case(
        "completions: best_of × logprobs", "with those of the best",
        complete(temperature=1, best_of=3, logprobs=0, seed=8), check=all_of(chose(1), logprobs()),
        about="best_of logprobs",
    ),
    TEXTS.case(
        "completions: suffix", "what follows changes the middle", complete(),
        complete(suffix=" and so the dragon slept."), check=changed, about="suffix",
    ),
    TEXTS.case(
        "completions: suffix × stream", "in a stream", complete(),
        complete(suffix=" and so the dragon slept.", stream=True), check=all_of(streamed, changed), about="suffix",
    ),
    TEXTS.case(
        "completions: user", "a name for the end user changes nothing", complete(), complete(user="ann"), check=same,
        about="user",
    ),
    TEXTS.case(
        "completions: nulls", "null asks for nothing", complete(),
        complete(suffix=None, stop=None, logprobs=None, seed=None, n=None, best_of=None),
        check=all_of(same, ended("length", "stop")), about="suffix stop logprobs seed n best_of",
    ),
    TEXTS.wrong("completions: best_of below n", complete(best_of=1, n=2), about="best_of"),
    TEXTS.wrong("completions: best_of × stream", complete(best_of=2, stream=True), about="best_of"),
    TEXTS.wrong("completions: logprobs of 6", complete(logprobs=6), about="logprobs"),
    TEXTS.wrong("completions: a prompt of another type", complete({"text": "a"}), about="prompt"),
    TEXTS.wrong("completions: no prompt", complete(...), about="prompt"),
    TEXTS.wrong("completions: a token that no model has", complete([2**31 - 1]), about="prompt"),
    TEXTS.wrong("completions: an unknown field", complete(max_completion_tokens=4), about="max_completion_tokens"),
    TEXTS.wrong(
        "completions: a prompt beyond the context", complete("apple " * 200_000), about="prompt",
        code="context_length_exceeded",
    ),
)  # fmt: skip
