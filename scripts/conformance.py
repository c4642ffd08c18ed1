"""Try a server by the whole request table: is each field honoured, refused by name, or ignored?

uv run scripts/conformance.py --base-url http://127.0.0.1:8080/v1 [--model M] [--speech-model M] [--voice-model M]
                                           [--embedding-model M]
                                           [--api-key K]
uv run scripts/conformance.py --own        our own server with both demo models, and llama.cpp's beside it: writes
                                           docs/conformance.md

--only PATTERN     only cases whose name or group holds this (a regular expression)
--openapi FILE     OpenAI's description (openapi.json): answers are held against its schemas too
--json FILE        keep the verdicts; --compare FILE … shows kept ones beside these
--markdown FILE    the report that docs/conformance.md is

The exit code is 1 where something is broken (an error of the server, what no client could read, no answer), else 0.
Ctrl-C ends the run and keeps what there is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
from rich.console import Console

from scripts.contract.case import Case, Outcome
from scripts.contract.differences import DIFFERENCES, INCOMPLETE
from scripts.contract.report import report
from scripts.contract.scoring import Result, load, written
from scripts.contract.sending import PATIENCE, Others, Server
from scripts.contract.showing import Screen
from scripts.contract.table import CASES
from scripts.contract.typed import Published

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"


def chosen(pattern: str) -> tuple[Case, ...]:
    """The cases whose name or group a regular expression finds something in."""
    wanted = re.compile(pattern)
    return tuple(case for case in CASES if wanted.search(case.name) or wanted.search(case.group))


def run(server: Server, title: str, cases: Sequence[Case], screen: Screen) -> Result:
    """All cases one after the other. Ctrl-C ends it with what there is."""
    result = Result(title=title, model=server.model)
    cases = [case for case in cases if server.takes(case)]
    screen.title(f"{title}: {server.model}, {len(cases)} cases")
    try:
        for number, case in enumerate(cases, 1):
            verdict = server.try_case(case)
            result = replace(result, verdicts=(*result.verdicts, verdict))
            screen.verdict(number, len(cases), verdict)
    except KeyboardInterrupt:
        screen.title(f"ended after {len(result.verdicts)} of {len(cases)} cases")
    return result


def first_model(base_url: str, key: str) -> str:
    """The id of the first model that a server lists. Errors: SystemExit where it lists none."""
    try:
        answer = httpx.get(
            f"{base_url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        )
        return str(answer.json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise SystemExit(f"{base_url} lists no model ({type(error).__name__}): name one with --model.") from None


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", metavar="URL", help="the server, as an OpenAI client is given it: ends with /v1")
    parser.add_argument("--model", metavar="M", help="the model to ask; default: the first that the server lists")
    parser.add_argument(
        "--speech-model", metavar="M", help="the model for cases with sound; without it they are left out"
    )
    parser.add_argument(
        "--voice-model", metavar="M", help="the model for cases in which a text is said; without it they are left out"
    )
    parser.add_argument(
        "--embedding-model", metavar="M", help="the model for cases with embeddings; without it they are left out"
    )
    parser.add_argument("--api-key", default="none", metavar="K")
    parser.add_argument("--title", metavar="T", help="what to call the server in tables; default: its URL")
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--openapi", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--compare", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, metavar="SECONDS", help="how long one request may take"
    )
    parser.add_argument("--brief", action="store_true", help="show only what is not right")
    parser.add_argument("--own", action="store_true")
    args = parser.parse_args(given)
    if bool(args.base_url) == args.own:
        parser.error("give either --base-url or --own")
    return args


def tried(args: argparse.Namespace, cases: Sequence[Case], screen: Screen) -> list[Result]:
    """The results of the servers that were asked for."""
    published = Published(args.openapi) if args.openapi else None
    if args.own:
        from scripts.contract.own import our_results

        return our_results(lambda server, title: run(server, title, cases, screen), published)
    model = args.model or first_model(args.base_url, args.api_key)
    server = Server(
        args.base_url,
        model=model,
        others=Others(speech=args.speech_model, voice=args.voice_model, embedder=args.embedding_model),
        key=args.api_key,
        published=published,
        patience=args.patience,
    )
    try:
        return [run(server, args.title or args.base_url, cases, screen)]
    finally:
        server.close()


def main(given: Sequence[str] | None = None) -> int:
    args = arguments(given)
    screen = Screen(Console(), brief=args.brief)
    cases = chosen(args.only)
    results = tried(args, cases, screen)
    if args.json:
        args.json.write_text(written(results[0]), encoding="utf-8")
    results += [load(file) for file in args.compare]
    screen.scores(results, cases)
    page = args.markdown or (PAGE if args.own and not args.only else None)
    if page:
        page.write_text(report(results, cases, DIFFERENCES, INCOMPLETE), encoding="utf-8", newline="\n")
    broken = any(verdict.outcome == Outcome.BROKEN for verdict in results[0].verdicts)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
