"""The command line: which verb, with which settings, and failures as one readable line."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from fluid_server import __version__
from fluid_server.cli.exit_codes import ExitCode, exit_code_of
from fluid_server.cli.flags import add_flag
from fluid_server.cli.verbs import ALSO_CALLED, ASKING, FIRST_EXAMPLES, SETTINGS, VERBS, Verb
from fluid_server.config import load_config
from fluid_server.errors import FluidError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # in a windowed program there is none
            stream.reconfigure(encoding="utf-8", errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version"}):
        given.insert(0, "serve")
    if given[0] not in VERBS and not given[0].startswith("-"):
        print(f"fluid-server: {_no_verb(given[0])}", file=sys.stderr)
        return ExitCode.BAD_USAGE
    given, handed_on = _parted(given)
    options = _understood(given)
    verb, file = VERBS[options.pop("verb")], options.pop("config", None)
    typed = {name: options.pop(name) for name in verb.settings if name in options}
    if verb.hands_on:
        typed = _understood(["serve", *handed_on])
        file = typed.pop("config", file)
        del typed["verb"]
        options["handed_on"] = tuple(handed_on)
    try:
        code = _run(verb, typed, file, options)
        print(end="", flush=True)
    except BrokenPipeError:  # whoever reads has seen enough; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except FluidError as error:
        return _failed(error, as_json=options.get("as_json", False))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def _understood(given: Sequence[str]) -> dict[str, Any]:
    """What was typed, by its names. Errors: SystemExit, after saying what is wrong."""
    found, unknown = parser().parse_known_args(given)
    if unknown:
        print(f"fluid-server: {_no_flag(given[0], unknown[0].partition('=')[0])}", file=sys.stderr)
        raise SystemExit(ExitCode.BAD_USAGE)
    return vars(found)


def _parted(given: list[str]) -> tuple[list[str], list[str]]:
    """What is the verb's, and what follows ``--`` where the verb hands that on."""
    if given[0] in VERBS and VERBS[given[0]].hands_on and "--" in given:
        place = given.index("--")
        return given[:place], given[place + 1 :]
    return given, []


def _run(verb: Verb, typed: dict[str, Any], file: Path | None, options: dict[str, Any]) -> int:
    module, _, function = verb.target.partition(":")
    run: Callable[..., int] = getattr(import_module(f"fluid_server.cli.{module}"), function)
    if not verb.finds_server:
        return run(load_config(typed, file=file), **options)
    from fluid_server.cli.discovery import Place, check_host

    if "host" in typed:  # before it is taken for an address to listen on
        check_host(typed["host"])
    place = Place(
        load_config(typed, file=file),
        server_typed=bool(typed.keys() & {"host", "port"}),
        folders_typed=tuple(name for name in ("data_dir", "model_path") if name in typed),
    )
    return run(place, **options)


def _failed(error: FluidError, *, as_json: bool) -> int:
    print(f"fluid-server: {error.message}", file=sys.stderr)
    if as_json:
        told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        print(json.dumps({"error": told}, ensure_ascii=False))
    return exit_code_of(error)


def _no_verb(word: str) -> str:
    close = get_close_matches(word, VERBS, 1) or [verb for name, verb in ALSO_CALLED.items() if name == word]
    hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(VERBS)}."
    return f"There is no verb '{word}'. {hint}"


def _no_flag(verb: str, word: str) -> str:
    kind = "flag" if word.startswith("-") else "argument"
    known = argparse.ArgumentParser(usage="%(prog)s", add_help=False)
    _add_arguments(known, VERBS[verb])
    close = get_close_matches(word, re.findall(r"--[a-z-]+", known.format_help()), 1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"'{verb}' takes no {kind} '{word}'. {hint}'fluid-server {verb} --help' says what it takes."


def parser() -> argparse.ArgumentParser:
    """The whole command line. Flags left out are absent from the result, so that they overrule nothing."""
    top = argparse.ArgumentParser(
        prog="fluid-server",
        description="A local AI server that speaks OpenAI's API. Without a verb it serves.",
        epilog=f"{SETTINGS}\n{FIRST_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"fluid-server {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    for name, verb in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=verb.summary,
            description=verb.summary[0].upper() + verb.summary[1:] + ".",
            epilog=verb.notes or None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        _add_arguments(sub, verb)
    return top


def _add_arguments(sub: argparse.ArgumentParser, verb: Verb) -> None:
    verb.arguments(sub)
    sub.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings (default: fluid.toml)")
    for setting in verb.settings:
        add_flag(sub, setting, ASKING.get(setting) if verb.finds_server else None)
