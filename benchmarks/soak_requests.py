"""What the soak's clients ask of models, and how they leave before it is there.

Each action returns its outcome in a word; what must not be raises.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import httpx
import openai

from benchmarks.soak_client import LLMS, Ask, Client, Wrong, body_of, frames, is_failure
from tests.front_door import AUDIO, ECHO, WHISPER

CHAT, COMPLETIONS, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/completions", "/v1/audio/transcriptions"
CAPITALS = {"France": "Paris", "Spain": "Madrid"}
PROMPT = "<|im_start|>user\nWhat is the capital of {}?<|im_end|>\n<|im_start|>assistant\n"
SPOKEN = {
    "bonjour": "Bonjour le monde.",
    "capital-of-france": "What is the capital of France?",
    "hello": "Hello world.",
    "kitchen-light": "Turn on the kitchen light.",
    "timer": "Set a timer for ten minutes.",
}
SOUNDS = {name: (AUDIO / f"{name}.wav").read_bytes() for name in SPOKEN}


def question(client: Client, model: str) -> tuple[str, str]:
    """Something to ask a model, and its one right answer. Numbers tell whose answer it is."""
    first, second = client.dice.randrange(16), client.dice.randrange(16)
    if model == ECHO:
        said = f"parrot {client.number} {client.dice.randrange(10**9)} " + "word " * client.dice.randrange(50) + "end"
        return said, said
    if client.chance(0.5):
        country = client.dice.choice(list(CAPITALS))
        return f"What is the capital of {country}?", f"The capital of {country} is {CAPITALS[country]}."
    return f"What is {first} + {first + second % 3}?", f"{first} + {first + second % 3} = {2 * first + second % 3}"


def messages(text: str) -> list[Any]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def some_fields(client: Client) -> tuple[dict[str, Any], float | None]:
    """Now and then a keep_alive, and a deadline."""
    fields = {}
    if client.chance(0.15):
        fields["keep_alive"] = client.dice.choice([0, 1, 2.5, "1s", "1m", -1])
    return fields, client.dice.choice([5.0, 10.0, 30.0]) if client.chance(0.1) else None


def check(found: str, expected: str, reason: str | None) -> None:
    """Errors: Wrong for another answer."""
    if found != expected:
        raise Wrong(f"the answer is {found!r}, and should be {expected!r} (finish_reason {reason})")


# --- text --------------------------------------------------------------------------------------------------


async def chat(client: Client, *, stream: bool = False, n: int = 1) -> str:
    """A question whose answer is known."""
    return await ask_model(client, client.model(LLMS), stream=stream, n=n)


async def ask_model(
    client: Client, model: str, *, stream: bool = False, n: int = 1, may: frozenset[tuple[int, str]] = frozenset()
) -> str:
    """The same of this model."""
    said, expected = question(client, model.partition("/")[0])
    fields, timeout = some_fields(client)
    body = {"model": model, "messages": messages(said), "temperature": 0, "n": n, "stream": stream, **fields}
    ask = Ask(path=CHAT, model=model, timeout=timeout, body=body, may=may)
    if stream:
        outcome, chunks = await client.streamed(ask)
        answers = joined(chunks, n, "delta") if outcome == "ok" else []
    else:
        outcome, answer = await client.whole(ask)
        answers = [(one["message"]["content"], one["finish_reason"]) for one in answer["choices"]] if answer else []
    if outcome == "ok" and len(answers) != n:
        raise Wrong(f"{len(answers)} answers where {n} were asked for")
    for text, reason in answers:
        check(text, expected, reason)
    return outcome


def joined(chunks: list[Any], n: int, key: str) -> list[tuple[str, str | None]]:
    """The text and finish reason of each choice of a stream. Errors: Wrong where one did not end, or twice."""
    texts, reasons = [""] * n, [""] * n
    for chunk in chunks:
        for choice in chunk["choices"]:
            content = choice["delta"].get("content") if key == "delta" else choice["text"]
            texts[choice["index"]] += content or ""
            reasons[choice["index"]] += choice["finish_reason"] or ""
    if not all(reason in ("stop", "length") for reason in reasons):
        raise Wrong(f"the choices ended with {reasons}")
    return list(zip(texts, reasons, strict=True))


async def chat_streamed(client: Client) -> str:
    """The same as a stream."""
    return await chat(client, stream=True)


async def chat_several(client: Client) -> str:
    """Several answers to one question."""
    return await chat(client, stream=client.chance(0.5), n=client.dice.randint(2, 6))


async def by_sdk(client: Client) -> str:
    """With OpenAI's own client."""
    model = client.model(LLMS)
    said, expected = question(client, model)
    stream = client.chance(0.5)
    ask = Ask(path=CHAT, model=model, body={"sdk": True, "stream": stream, "content": said})
    client.request = str(ask)
    started = time.monotonic()
    completions = client.sdk.chat.completions
    try:
        if stream:
            text = ""
            async with await completions.create(
                model=model, messages=messages(said), temperature=0, stream=True
            ) as chunks:
                async for chunk in chunks:
                    text += chunk.choices[0].delta.content or ""
        else:
            answer = await completions.create(model=model, messages=messages(said), temperature=0)
            text = answer.choices[0].message.content or ""
    except openai.APIStatusError as error:
        headers = httpx.Headers(dict(error.response.headers))
        return client.check_failure(ask, error.status_code, headers, json.loads(error.response.text), started)
    except openai.APIConnectionError:
        raise
    except openai.APIError as error:  # in the middle of a stream
        return client.check_failure(ask, None, None, {"error": error.body}, started)
    check(text, expected, None)
    return "ok"


async def completion(client: Client) -> str:
    """Several texts to go on with, in one request."""
    model = client.model(tuple(one for one in LLMS if one != ECHO))
    countries = client.dice.choices(list(CAPITALS), k=client.dice.randint(1, 3))
    prompts = [
        f"<|im_start|>user\nWhat is the capital of {one}?<|im_end|>\n<|im_start|>assistant\n" for one in countries
    ]
    fields, timeout = some_fields(client)
    stream = client.chance(0.5)
    body = {"model": model, "prompt": prompts, "temperature": 0, "max_tokens": 40, "stream": stream, **fields}
    ask = Ask(path=COMPLETIONS, model=model, timeout=timeout, body=body)
    if stream:
        outcome, chunks = await client.streamed(ask)
        texts = [text for text, _ in joined(chunks, len(prompts), "text")] if outcome == "ok" else []
    else:
        outcome, answer = await client.whole(ask)
        texts = [choice["text"] for choice in answer["choices"]] if answer else []
    for text, country in zip(texts, countries, strict=outcome == "ok"):
        check(text, f"The capital of {country} is {CAPITALS[country]}.", None)
    return outcome


async def transcription(client: Client) -> str:
    """Speech whose words are known."""
    name = client.dice.choice(list(SPOKEN))
    form = {"model": WHISPER, "response_format": client.dice.choice(["json", "text"])}
    fields, timeout = some_fields(client)
    form |= {key: str(value) for key, value in fields.items()}
    ask = Ask(path=TRANSCRIPTIONS, model=WHISPER, timeout=timeout, form=form, sound=SOUNDS[name])
    outcome, answer = await client.whole(ask)
    if outcome == "ok":
        check((answer if isinstance(answer, str) else answer["text"]).strip(), SPOKEN[name], None)
    return outcome


def endless(client: Client, *, stream: bool, **fields: Any) -> dict[str, Any]:
    """A request that goes on for a while."""
    body = {"model": client.model(LLMS), "messages": messages("Count from 1 to 1000."), "temperature": 0}
    limit = 200_000 if body["model"] == ECHO else 1500
    return {**body, "ignore_eos": True, "max_tokens": limit, "stream": stream, **fields}


async def deadline(client: Client) -> str:
    """More than can be done in the time that is given."""
    body = endless(client, stream=client.chance(0.5), n=client.dice.randint(1, 3))
    ask = Ask(path=CHAT, model=body["model"], timeout=round(client.dice.uniform(0.02, 1.5), 2), body=body)
    if body["stream"]:
        return (await client.streamed(ask))[0]
    return (await client.whole(ask))[0]


async def burst(client: Client) -> str:
    """More at once than the queue takes."""
    model = client.model(LLMS)
    said, expected = question(client, model)
    body = {"model": model, "messages": messages(said), "temperature": 0, "n": 4}
    asks = [client.whole(Ask(path=CHAT, model=model, body=body)) for _ in range(8)]
    found = await asyncio.gather(*asks)
    for outcome, answer in found:
        if outcome == "ok":
            check(answer["choices"][3]["message"]["content"], expected, None)
    return "ok" if all(outcome == "ok" for outcome, _ in found) else min(one for one, _ in found if one != "ok")


# --- leaving -----------------------------------------------------------------------------------------------


async def leave_stream(client: Client) -> str:
    """Go away in the middle of a stream, slow to read it before."""
    body = endless(client, stream=True, n=client.dice.randint(1, 4))
    ask = Ask(path=CHAT, model=body["model"], body=body)
    left, started = client.dice.randint(1, 60), time.monotonic()
    async with client.sent(ask) as response:
        if not response.is_success:
            await response.aread()
            return client.check_failure(ask, response.status_code, response.headers, body_of(response), started)
        async for one in frames(response.aiter_lines()):
            if is_failure(one):
                return client.check_failure(ask, None, None, one, started)
            left -= 1
            if left == 0:
                await asyncio.sleep(client.dice.choice([0, 0, 0.5]))
                return "left"
    return "ok"


async def leave_whole(client: Client) -> str:
    """Go away while an answer that is not streamed is waited for, which may still be queued or loading."""
    body = endless(client, stream=False, n=client.dice.randint(1, 4))
    with suppress(TimeoutError):
        async with asyncio.timeout(client.dice.uniform(0.005, 0.8)):
            return (await client.whole(Ask(path=CHAT, model=body["model"], body=body)))[0]
    return "left"


async def leave_queued(client: Client) -> str:
    """Fill a model, wait behind that, and go away: both from the queue and from the places."""
    body = endless(client, stream=False, n=4)
    tasks = [asyncio.ensure_future(client.whole(Ask(path=CHAT, model=body["model"], body=body))) for _ in range(4)]
    await asyncio.wait(tasks, timeout=client.dice.uniform(0.05, 0.6))
    client.dice.shuffle(tasks)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
    return "left"


async def leave_upload(client: Client) -> str:
    """Go away in the middle of sending the body."""
    url = client.http.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    path, kind = client.dice.choice([(TRANSCRIPTIONS, "multipart/form-data; boundary=x"), (CHAT, "application/json")])
    head = f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: {kind}\r\nContent-Length: 900000\r\n\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    writer.write(head.encode() + part.encode() + bytes(client.dice.randrange(300_000)))
    with suppress(ConnectionError):  # the server may be quicker in turning it away
        await writer.drain()
        await asyncio.sleep(client.dice.uniform(0, 0.1))
        writer.close()
        await writer.wait_closed()
    return "left"
