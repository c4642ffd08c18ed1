"""Chat completions: how tokens are drawn, their probabilities, and what is said about a request besides."""

from __future__ import annotations

from scripts.contract.asking import AS_JSON, CAPITAL, PERSON, STORY, TOOLS, WEATHER_QUESTION, Group, chat, json_schema
from scripts.contract.case import Case
from scripts.contract.checks import (
    all_of,
    answered,
    begins_anew,
    changed,
    chose,
    cut_at,
    fits,
    last,
    logprobs,
    one_a_token,
    pieces,
    repeated,
    same,
    varied,
    without_logprobs,
)
from scripts.contract.checks_stream import streamed, tells
from scripts.contract.checks_tools import called

SAMPLING = Group("sampling")
BIAS = Group("logit_bias")
LOGPROBS = Group("logprobs")
BESIDES = Group("about the request")
FORCED = {"1000": 100}  # there is a token of this number in any vocabulary of size
SMALLEST = {
    str(token): -100 for token in range(300)
}  # the bytes of most vocabularies are among them, the full stop too
DRAWN = 16  # tokens
PREDICTED = {"type": "content", "content": "The capital of France is Paris."}

SAMPLED: tuple[Case, ...] = (
    SAMPLING.case(
        "temperature of 0 is greedy", "the same answer each time", chat(STORY), chat(STORY), check=same,
        about="temperature",
    ),
    SAMPLING.case(
        "temperature spreads the choices", "at 2 choices differ",
        chat(STORY, temperature=2, n=4, max_tokens=DRAWN), check=all_of(chose(4), varied), about="temperature n",
    ),
    SAMPLING.case(
        "top_p of next to nothing is greedy", "only the likeliest token is drawn",
        chat(), chat(temperature=1.5, top_p=1e-6), check=same, about="top_p",
    ),
    SAMPLING.case("top_p of 0", "it is greedy", chat(), chat(temperature=1.5, top_p=0), check=same, about="top_p"),
    SAMPLING.case(
        "top_p × n", "in each choice", chat(), chat(temperature=2, top_p=1e-6, n=3), check=all_of(chose(3), same),
        about="top_p n",
    ),
    SAMPLING.case(
        "seed repeats a draw", "the same seed gives the same, another another",
        *(chat(STORY, temperature=1, seed=seed, max_tokens=24) for seed in (1, 7, 7)), check=repeated, about="seed",
    ),
    SAMPLING.case(
        "seed × stream", "a stream draws what the whole answer did",
        *(chat(STORY, temperature=1, seed=seed, max_tokens=24) for seed in (2, 9)),
        chat(STORY, temperature=1, seed=9, max_tokens=24, stream=True),
        check=repeated, about="seed",
    ),
    SAMPLING.case(
        "seed × n", "choices of one seed differ, and come again",
        *(chat(STORY, temperature=1, seed=seed, n=3, max_tokens=DRAWN) for seed in (3, 40, 40)),
        check=all_of(chose(3), varied, repeated), about="seed n",
    ),
    SAMPLING.case(
        "seed × temperature of 0", "greedy is greedy", chat(), chat(seed=1), chat(seed=2), check=same, about="seed",
    ),
    SAMPLING.case(
        "presence_penalty changes a long answer", "what was said becomes less likely",
        chat(STORY), chat(STORY, presence_penalty=2), check=changed, about="presence_penalty",
    ),
    SAMPLING.case(
        "frequency_penalty changes a long answer", "what was said often becomes less likely",
        chat(STORY), chat(STORY, frequency_penalty=2), check=changed, about="frequency_penalty",
    ),
    SAMPLING.case(
        "frequency_penalty below 0", "what was said becomes likelier",
        chat(STORY), chat(STORY, frequency_penalty=-2), check=changed, about="frequency_penalty",
    ),
    SAMPLING.case(
        "penalties of 0", "nothing changes",
        chat(STORY), chat(STORY, presence_penalty=0, frequency_penalty=0), check=same,
        about="presence_penalty frequency_penalty",
    ),
    # --- logit_bias
    BIAS.case(
        "logit_bias of 100 forces a token", "the answer is that token", chat(logit_bias=FORCED, max_tokens=4),
        check=pieces(4), about="logit_bias",
    ),
    BIAS.case(
        "logit_bias of -100 bans tokens", "the answer does without them", chat(), chat(logit_bias=SMALLEST),
        check=changed, about="logit_bias",
    ),
    BIAS.case(
        "logit_bias × logit_bias", "what is forced and then banned is not said",
        chat(logit_bias=FORCED, max_tokens=1), chat(logit_bias={"1000": -100, "1001": 100}, max_tokens=4),
        check=all_of(pieces(4), begins_anew), about="logit_bias",
    ),
    BIAS.case(
        "logit_bias × n", "in each choice", chat(logit_bias=FORCED, max_tokens=4, n=2),
        check=all_of(chose(2), pieces(4)), about="logit_bias n",
    ),
    BIAS.case(
        "logit_bias × stream", "in a stream", chat(logit_bias=FORCED, max_tokens=4, stream=True),
        check=all_of(streamed, pieces(4)), about="logit_bias",
    ),
    BIAS.case("logit_bias of nothing", "nothing changes", chat(), chat(logit_bias={}), check=same, about="logit_bias"),
    # --- logprobs
    LOGPROBS.case(
        "logprobs", "each token of the text, and how likely it was", chat(logprobs=True),
        check=all_of(answered, logprobs()), about="logprobs",
    ),
    LOGPROBS.case(
        "logprobs × no top_logprobs", "no alternatives", chat(logprobs=True), check=logprobs(0), about="logprobs",
    ),
    LOGPROBS.case(
        "logprobs of false", "none", chat(), chat(logprobs=False), check=all_of(same, without_logprobs),
        about="logprobs",
    ),
    LOGPROBS.case(
        "logprobs × max_tokens", "one a token", chat(STORY, logprobs=True, max_tokens=6),
        check=all_of(logprobs(), last(one_a_token)), about="logprobs",
    ),
    LOGPROBS.case(
        "logprobs × stream", "each piece has its tokens", chat(logprobs=True, stream=True),
        check=all_of(streamed, logprobs()), about="logprobs",
    ),
    LOGPROBS.case(
        "logprobs × stop", "those of the text that is left",
        chat(), chat(logprobs=True, stop=" France"), check=all_of(cut_at(" France"), logprobs(whole=False)),
        about="logprobs stop",
    ),
    LOGPROBS.case(
        "logprobs × stream × stop", "those of the text that is left, in a stream",
        chat(), chat(logprobs=True, stop=" France", stream=True),
        check=all_of(streamed, cut_at(" France"), logprobs(whole=False)), about="logprobs stop",
    ),
    LOGPROBS.case(
        "logprobs × n", "in each choice", chat(logprobs=True, n=2), check=all_of(chose(2), logprobs()),
        about="logprobs n",
    ),
    LOGPROBS.case(
        "logprobs × response_format", "of JSON too",
        chat(AS_JSON, logprobs=True, response_format=json_schema(PERSON)), check=all_of(fits(PERSON), logprobs()),
        about="logprobs response_format",
    ),
    LOGPROBS.case(
        "logprobs × tools", "a call may come with the log probabilities of its text alone",
        chat(WEATHER_QUESTION, logprobs=True, tools=TOOLS), check=called(["get_weather"], text=True), able=True,
        about="logprobs tools",
    ),
    LOGPROBS.case(
        "logprobs × logit_bias", "of forced tokens", chat(logprobs=True, logit_bias=FORCED, max_tokens=3),
        check=all_of(pieces(3), logprobs()), about="logprobs logit_bias",
    ),
    LOGPROBS.case(
        "top_logprobs of 0", "no alternatives", chat(logprobs=True, top_logprobs=0), check=logprobs(0),
        about="top_logprobs logprobs",
    ),
    LOGPROBS.case(
        "top_logprobs of 5", "five alternatives, the likeliest first", chat(logprobs=True, top_logprobs=5),
        check=logprobs(5), about="top_logprobs logprobs",
    ),
    LOGPROBS.case(
        "top_logprobs of 20", "the most there can be", chat(logprobs=True, top_logprobs=20, max_tokens=4),
        check=logprobs(20), about="top_logprobs logprobs",
    ),
    LOGPROBS.case(
        "top_logprobs × stream", "in a stream",
        chat(logprobs=True, top_logprobs=2, stream=True), check=all_of(streamed, logprobs(2)),
        about="top_logprobs logprobs",
    ),
    LOGPROBS.case(
        "top_logprobs × n × temperature", "of drawn tokens",
        chat(STORY, logprobs=True, top_logprobs=3, n=2, temperature=1, seed=5, max_tokens=8),
        check=all_of(chose(2), logprobs(3)), about="top_logprobs logprobs n",
    ),
    # --- besides
    BESIDES.case("user", "a name for the end user changes nothing", chat(), chat(user="ann"), check=same, about="user"),
    BESIDES.case(
        "safety_identifier", "nor does its newer form", chat(), chat(safety_identifier="ann"), check=same,
        about="safety_identifier",
    ),
    BESIDES.case(
        "metadata", "labels change nothing", chat(), chat(metadata={"topic": "capitals"}), check=same,
        about="metadata",
    ),
    BESIDES.case(
        "store of false", "nothing is kept, nothing changes", chat(), chat(store=False), check=same, about="store",
    ),
    BESIDES.case(
        "prompt_cache_key", "a hint changes nothing", chat(), chat(prompt_cache_key="a"), check=same,
        about="prompt_cache_key",
    ),
    BESIDES.case(
        "prompt_cache_retention", "a hint changes nothing", chat(), chat(prompt_cache_retention="24h"), check=same,
        about="prompt_cache_retention",
    ),
    BESIDES.case(
        "prompt_cache_options", "a hint changes nothing", chat(), chat(prompt_cache_options={"mode": "implicit"}),
        check=same, about="prompt_cache_options",
    ),
    BESIDES.case(
        "prediction", "a prediction may speed an answer up and never changes it", chat(), chat(prediction=PREDICTED),
        check=same, about="prediction",
    ),
    BESIDES.case(
        "prediction × stream", "not in a stream either",
        chat(), chat(prediction={**PREDICTED, "content": "Lyon"}, stream=True), check=all_of(streamed, same),
        about="prediction",
    ),
    BESIDES.case(
        "service_tier of auto", "the answer says which tier it was",
        chat(service_tier="auto"), check=all_of(answered, tells("service_tier", lambda tier: isinstance(tier, str))),
        about="service_tier",
    ),
    BESIDES.case(
        "service_tier of default", "the answer says which tier it was",
        chat(service_tier="default"), check=all_of(answered, tells("service_tier", lambda tier: tier == "default")),
        about="service_tier",
    ),
    BESIDES.case(
        "service_tier of flex", "another tier is had or refused",
        chat(service_tier="flex"), check=tells("service_tier", lambda tier: tier == "flex"), about="service_tier",
    ),
    BESIDES.case(
        "modalities of text", "text is text", chat(), chat(modalities=["text"]), check=same, about="modalities",
    ),
    BESIDES.case(
        "modalities of audio", "an answer is spoken or refused",
        chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
        check=tells("choices.0.message.audio.data", bool), about="modalities audio",
    ),
    BESIDES.case(
        "audio", "a voice is had or refused",
        chat(audio={"voice": "alloy", "format": "wav"}),
        check=tells("choices.0.message.audio.data", bool), about="audio modalities",
    ),
    BESIDES.case(
        "web_search_options", "the web is searched, or it is refused",
        chat(CAPITAL, web_search_options={}),
        check=tells("choices.0.message.annotations.0.url_citation", bool), about="web_search_options",
    ),
    BESIDES.case(
        "moderation", "answers are moderated, or it is refused",
        chat(moderation={"model": "omni-moderation-latest"}), check=tells("moderation", bool),
        about="moderation",
    ),
    BESIDES.case(
        "the usage tells what was cached", "a count within the prompt's",
        chat(), chat(),
        check=all_of(answered, tells("usage.prompt_tokens_details.cached_tokens", lambda one: isinstance(one, int))),
    ),
)  # fmt: skip
