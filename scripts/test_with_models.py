"""Talk to every model with the official OpenAI client, and say in a table what each did.

uv run scripts/test_with_models.py                       start a server on this repository's models, and end it
uv run scripts/test_with_models.py --model-path FOLDER   on another models folder; other flags go to the server too
uv run scripts/test_with_models.py --model NAME          only this model (may be given several times)
uv run scripts/test_with_models.py --base-url URL        a server that runs already; its key is FLUID_API_KEY
uv run scripts/test_with_models.py --wait 600            seconds that one answer may take (default: 300)

Each model is asked for all that it can: chat whole and streamed, text completion, transcription, speech, embeddings.
The first question of each waits until it is loaded.
The exit code is 0 where all answered, 1 where one did not, 2 where there was nothing to ask.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import openai
import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.kill_server import ended
from scripts.start_server import NotStartedError, start

ROOT = Path(__file__).resolve().parents[1]
SOUND = ROOT / "tests" / "fixtures" / "audio" / "capital-of-france.wav"
QUESTION = "What is the capital of France?"
WAIT = 300.0
STARTS_WITHIN = 60.0
SHOWN = 48  # characters of an answer


@dataclass(frozen=True, slots=True)
class Result:
    """What one model did with one question. ``seconds`` until the answer was whole, ``first`` until it began."""

    model: str
    asked: str
    answer: str
    seconds: float
    first: float | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, and how many seconds after the question it began, where that is known."""

    text: str
    first: float | None = None


class NothingSaidError(Exception):
    """The answer was well-formed and empty."""


def chat(client: openai.OpenAI, model: str) -> Answer:
    done = client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=64)
    message = done.choices[0].message
    return Answer(message.content or getattr(message, "reasoning_content", None) or "")


def streamed_chat(client: openai.OpenAI, model: str) -> Answer:
    started, first, text = time.monotonic(), None, ""
    messages: Any = [{"role": "user", "content": QUESTION}]
    for chunk in client.chat.completions.create(model=model, messages=messages, max_tokens=64, stream=True):
        delta = chunk.choices[0].delta if chunk.choices else None
        piece = (delta.content or getattr(delta, "reasoning_content", None) or "") if delta else ""
        first = time.monotonic() - started if piece and first is None else first
        text += piece
    return Answer(text, first)


def completion(client: openai.OpenAI, model: str) -> Answer:
    return Answer(
        client.completions.create(model=model, prompt="The capital of France is", max_tokens=16).choices[0].text
    )


def transcription(client: openai.OpenAI, model: str) -> Answer:
    with SOUND.open("rb") as file:
        return Answer(client.audio.transcriptions.create(model=model, file=file).text)


def speech(client: openai.OpenAI, model: str) -> Answer:
    voices = client.get("/audio/voices", cast_to=dict[str, Any])["data"]
    own = next(voice["id"] for voice in voices if voice["model"] == model)
    sound = client.audio.speech.create(model=model, voice=own, input="Good morning.", response_format="wav")
    return Answer(f"{len(sound.content)} bytes of sound" if sound.content else "")


def embedding(client: openai.OpenAI, model: str) -> Answer:
    numbers = client.embeddings.create(model=model, input=QUESTION).data[0].embedding
    return Answer(f"{len(numbers)} numbers" if any(numbers) else "")


QUESTIONS: Mapping[str, Mapping[str, Callable[[openai.OpenAI, str], Answer]]] = {
    "chat": {"chat": chat, "chat, streamed": streamed_chat},
    "completion": {"completion": completion},
    "transcription": {"transcription": transcription},
    "speech": {"speech": speech},
    "embedding": {"embedding": embedding},
}


def ask(client: openai.OpenAI, model: Mapping[str, Any]) -> Iterator[Result]:
    """One model, everything that it says it can and that there is a question for."""
    name = str(model["id"])
    if model.get("problem"):
        yield Result(name, "load", str(model["problem"]), 0, failed=True)
        return
    for ability in model["capabilities"]:
        for asked, question in QUESTIONS.get(ability, {}).items():
            yield tried(client, name, asked, question)


def tried(client: openai.OpenAI, model: str, asked: str, question: Callable[[openai.OpenAI, str], Answer]) -> Result:
    """One question. What the server or the client refuses is a failure of the model, with its reason."""
    started = time.monotonic()
    try:
        answer = question(client, model)
        if not answer.text.strip():
            raise NothingSaidError("the answer was empty")
    except (openai.OpenAIError, NothingSaidError) as error:
        return Result(model, asked, reason(error), time.monotonic() - started, failed=True)
    return Result(model, asked, " ".join(answer.text.split()), time.monotonic() - started, answer.first)


def reason(error: Exception) -> str:
    """A failure in the server's own words, where it had any."""
    body = getattr(error, "body", None)
    return str(body["message"]) if isinstance(body, dict) and "message" in body else str(error)


def table_of(results: Sequence[Result]) -> Table:
    table = Table("model", "asked for", "first", "whole", "", "answer")
    for one in results:
        first = f"{one.first:.2f} s" if one.first is not None else ""
        text = one.answer if one.failed or len(one.answer) <= SHOWN else one.answer[: SHOWN - 1] + "…"
        mark = Text("failed", "red") if one.failed else Text("ok", "green")
        # As Text: a model may well say [/INST], which rich would take for markup.
        table.add_row(Text(one.model), one.asked, first, f"{one.seconds:.2f} s", mark, Text(text))
    return table


@contextmanager
def served(base_url: str | None, flags: Sequence[str]) -> Generator[str, None, None]:
    """A server's base_url: the one that was named, or one of our own for as long as this lasts."""
    if base_url is not None:
        yield base_url
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "server.log"
        server = start(["--port", "0", "--no-warm-up", *flags], log, time.monotonic() + STARTS_WITHIN)
        try:
            yield str(server.place["base_url"])
        finally:
            ended(psutil.Process(server.place["pid"]), 15)
            server.process.wait(15)


def parser() -> argparse.ArgumentParser:
    given = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    given.add_argument("--model", action="append", default=[], metavar="NAME", help="only this model")
    given.add_argument("--base-url", metavar="URL", help="a server that runs already, such as http://127.0.0.1:8080/v1")
    given.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help="that one answer may take")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    args, flags = parser().parse_known_args(arguments)
    flags = [flag for flag in flags if flag != "--"]
    if args.base_url and flags:
        parser().error(f"a server that runs already takes no flags: {' '.join(flags)}")
    try:
        with served(args.base_url, flags) as base_url:
            return report(base_url, args.model, args.wait)
    except openai.APIConnectionError:
        print(f"Nothing answers at {args.base_url}. Does the server run, and is that its address?", file=sys.stderr)
    except openai.OpenAIError as error:
        print(reason(error), file=sys.stderr)
    except NotStartedError as error:
        print(error, file=sys.stderr)
    return 1


def report(base_url: str, names: Sequence[str], wait: float) -> int:
    """Ask all models, or those that were named; print the table."""
    results: list[Result] = []
    with openai.OpenAI(base_url=base_url, api_key=own_key(), max_retries=0, timeout=wait) as client:
        there = [model.model_dump() for model in client.models.list()]
        unknown = set(names) - {model["id"] for model in there} - {alias for one in there for alias in one["aliases"]}
        for model in there:
            if not names or {model["id"], *model["aliases"]} & set(names):
                for result in ask(client, model):
                    print(f"  {result.model}, {result.asked}: {'failed' if result.failed else 'ok'}", flush=True)
                    results.append(result)
    if results:
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(results))
    if unknown:
        names_there = ", ".join(str(model["id"]) for model in there) or "none"
        print(f"There is no model {', '.join(sorted(unknown))}. There are: {names_there}.", file=sys.stderr)
    failed = sum(result.failed for result in results)
    print(f"{len(results) - failed} of {len(results)} questions were answered.")
    return 2 if unknown or not results else min(failed, 1)


def own_key() -> str:
    """What the server would want by the same settings as ours."""
    from fluid_server.config import load_config

    key = load_config().api_key
    return key.get_secret_value() if key else "none"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
