"""The flags of fluid-server bench."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from fluid_server.cli.words import repeated

LARGEST = 10**6
NOTES = """\
A running server is asked: the one that --host and --port name, else the one that serves the models
folder, else the one at the configured address. --base-url measures any other server that speaks
OpenAI's API; it is sent the key of FLUID_API_KEY or --api-key, if there is one. Ctrl-C ends it, and
what was measured until then is shown. docs/guides/benchmarking.md says how each figure is measured.

examples:
  fluid-server bench qwen3-4b                                  1, 4 and 8 streams, 10 seconds each
  fluid-server bench qwen3-4b --concurrency 1,8,32 --runs 3    three times over, with the spread
  fluid-server bench qwen3-4b --requests 64 --json bench.json  64 answers each, and all figures
  fluid-server bench qwen3-4b --prompt-tokens 2000 --shared-prefix
  fluid-server bench llama3 --base-url http://127.0.0.1:11434/v1
"""


def arguments(sub: argparse.ArgumentParser) -> None:
    """All of them; each has its default here."""
    sub.add_argument("name", metavar="MODEL", type=_name, help="the model; of another server, as that calls it")
    sub.add_argument("--base-url", metavar="URL", default=None, help="another server, as OpenAI's clients take it")
    _how_much(sub)
    _what(sub)
    sub.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=300.0,
        help="give an answer up after so long without a byte (default: 300)",
    )  # fmt: skip
    sub.add_argument(
        "--json", dest="json_file", metavar="FILE", default=None, help="write all figures there; -: to stdout"
    )
    sub.add_argument(
        "--csv", dest="csv_file", metavar="FILE", default=None,
        help="write the main figures there, a line for each number of streams; -: to stdout",
    )  # fmt: skip


def _how_much(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--concurrency", metavar="N,N,…", type=_counts, default=(1, 4, 8),
        help="how many streams at a time, each number in its turn (default: 1,4,8)",
    )  # fmt: skip
    enough = sub.add_mutually_exclusive_group()
    enough.add_argument(
        "--duration", metavar="SECONDS", type=_seconds, default=10.0,
        help="how long each of them; every stream ends at least one answer (default: 10)",
    )  # fmt: skip
    enough.add_argument(
        "--requests", metavar="N", type=_count, default=None,
        help="so many answers each instead, at least one a stream",
    )  # fmt: skip
    sub.add_argument(
        "--runs", metavar="N", type=_count, default=1,
        help="all of it so many times; medians with minimum and maximum are shown (default: 1)",
    )  # fmt: skip


def _what(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--prompt-tokens", metavar="N", type=_count, default=128, help="length of a prompt, about (default: 128)"
    )
    sub.add_argument(
        "--max-tokens", metavar="N", type=_count, default=128, help="length of an answer at most (default: 128)"
    )
    sub.add_argument(
        "--shared-prefix", action="store_true", default=False,
        help="prompts with one beginning, so that prefix caches help (default: all different, so that none does)",
    )  # fmt: skip
    sub.add_argument(
        "--ignore-eos", action=argparse.BooleanOptionalAction, default=None,
        help="ask for answers of exactly --max-tokens (default: yes; with --base-url no: not every server takes it)",
    )  # fmt: skip
    sub.add_argument(
        "--completions", action="store_true", default=False, help="ask /v1/completions, not /v1/chat/completions"
    )
    sub.add_argument("--body", metavar="JSON", type=_body, default={}, help="""further fields: '{"temperature": 0}'""")
    sub.add_argument("--seed", metavar="N", type=int, default=None, help="the same prompts again (default: new ones)")


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is needed")
    return text.strip()


def _counts(text: str) -> tuple[int, ...]:
    """Numbers of streams, each once."""
    return tuple(dict.fromkeys(_count(part) for part in text.split(",")))


def _count(text: str) -> int:
    return int(_positive(int, text))


def _seconds(text: str) -> float:
    return float(_positive(float, text))


def _positive(kind: Callable[[str], float], text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < LARGEST:
        raise argparse.ArgumentTypeError(f"'{repeated(text)}' is no number above 0")
    return value


def _body(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from error
    if not isinstance(told, dict):
        raise argparse.ArgumentTypeError('a JSON object is needed, such as {"temperature": 0}')
    return told
