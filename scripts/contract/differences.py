"""Where our two text runtimes do not end in the same class, where answers lack something, and why. Tests hold both."""

from __future__ import annotations

from collections.abc import Mapping

NO_BIAS = "OpenVINO GenAI cannot add to the logits of single tokens, so `logit_bias` is refused there."
NO_ALTERNATIVES = (
    "OpenVINO GenAI tells the log probability of the token that was chosen and of no other, so `top_logprobs` above 0 "
    "is refused there."
)
NO_ALTERNATIVES_IN_TEXT = (
    "OpenVINO GenAI tells the log probability of the token that was chosen and of no other, so `logprobs` above 0 is "
    "refused there for completions."
)
DIFFERENCES: Mapping[str, str] = {
    "logit_bias of 100 forces a token": NO_BIAS,
    "logit_bias of -100 bans tokens": NO_BIAS,
    "logit_bias × logit_bias": NO_BIAS,
    "logit_bias × n": NO_BIAS,
    "logit_bias × stream": NO_BIAS,
    "logprobs × logit_bias": NO_BIAS,
    "completions: logit_bias": NO_BIAS,
    "completions: logit_bias of -100": NO_BIAS,
    "top_logprobs of 5": NO_ALTERNATIVES,
    "top_logprobs of 20": NO_ALTERNATIVES,
    "top_logprobs × stream": NO_ALTERNATIVES,
    "top_logprobs × n × temperature": NO_ALTERNATIVES,
    "responses: top_logprobs": NO_ALTERNATIVES,
    "completions: logprobs of 3": NO_ALTERNATIVES_IN_TEXT,
    "completions: logprobs × stream": NO_ALTERNATIVES_IN_TEXT,
}

UNTOLD = (
    "OpenVINO GenAI does not tell `tokens`, `avg_logprob` and `no_speech_prob` of a segment, so they are left out, and "
    "not made up."
)
INCOMPLETE: Mapping[str, str] = dict.fromkeys(
    (
        "language left out",
        "verbose_json",
        "timestamp_granularities of segment",
        "timestamp_granularities of both",
        "translation as verbose_json",
    ),
    UNTOLD,
)
