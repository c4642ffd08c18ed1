"""The command line: verbs, flags made from ServerConfig, and failures as one readable line."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from fluid_server import __version__
from fluid_server.config import ServerConfig, load_config
from fluid_server.errors import FluidError

BAD_USAGE = 2
EPILOG = """\
Every flag can also be set in the environment (FLUID_PORT=9000, or a .env file) or in a TOML file
(--config fluid.toml). Flags win over the environment, the environment over the file.

examples:
  fluid-server                              serve ./models on http://127.0.0.1:8080
  fluid-server --port 0 --device GPU        take a free port, run models on the GPU
  fluid-server --llm-model fluid-tiny-ov    warm up this language model
  fluid-server list                         what models are there
  fluid-server doctor                       what runs on this machine, and why not
"""
VERBS = {
    "serve": "start the server (the default)",
    "list": "list the models of the models folder, broken ones with their reasons",
    "doctor": "check packages, devices, models, port and disk",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 well, 1 failed, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # in a windowed program there is none
            stream.reconfigure(encoding="utf-8", errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version"}):
        given.insert(0, "serve")
    if given[0] not in VERBS and not given[0].startswith("-"):
        print(f"fluid-server: {_no_verb(given[0])}", file=sys.stderr)
        return BAD_USAGE
    options = vars(parser().parse_args(given))
    verb, file = options.pop("verb"), options.pop("config", None)
    as_json = options.pop("json", False)
    try:
        config = load_config(options, file=file)
        return _run(verb, config, as_json=as_json)
    except FluidError as error:
        print(f"fluid-server: {error.message}", file=sys.stderr)
        return BAD_USAGE if error.code == "invalid_configuration" else 1
    except KeyboardInterrupt:
        return 130


def _no_verb(word: str) -> str:
    close = get_close_matches(word, VERBS, 1)
    hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(VERBS)}."
    return f"There is no verb '{word}'. {hint}"


def _run(verb: str, config: ServerConfig, *, as_json: bool) -> int:
    if verb == "list":
        from fluid_server.cli.list import run as list_models

        return list_models(config, as_json=as_json)
    if verb == "doctor":
        from fluid_server.cli.doctor import run as doctor

        return doctor(config, as_json=as_json)
    from fluid_server.cli.serve import run as serve

    return serve(config)


def parser() -> argparse.ArgumentParser:
    """The whole command line. Flags left out are absent from the result, so that they overrule nothing."""
    top = argparse.ArgumentParser(
        prog="fluid-server",
        description="A local AI server that speaks OpenAI's API. Without a verb it serves.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"fluid-server {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    for verb, summary in VERBS.items():
        sub = verbs.add_parser(
            verb,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=EPILOG if verb == "serve" else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        sub.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings (default: fluid.toml)")
        names = ServerConfig.model_fields if verb != "list" else ("model_path", "echo")
        for name in names:
            _add_flag(sub, name, ServerConfig.model_fields[name])
        if verb != "serve":
            sub.add_argument("--json", action="store_true", default=False, help="write JSON for machines")
    return top


def _add_flag(sub: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    flag = "--" + name.replace("_", "-")
    text = f"{field.description}{_default(field)}"
    kinds = {field.annotation, *get_args(field.annotation)}
    settings: dict[str, Any] = {"dest": name, "help": text}
    if field.annotation is bool:
        settings["action"] = argparse.BooleanOptionalAction
    elif get_origin(field.annotation) is dict:
        settings |= {"action": _KeyValue, "metavar": "KEY=VALUE"}
    elif get_origin(field.annotation) is list:
        settings |= {"action": "append", "metavar": "URL" if "origin" in name else "NAME"}
    elif str in {type(one) for one in get_args(field.annotation)}:
        settings["choices"] = get_args(field.annotation)
    else:
        settings["metavar"] = _metavar(name, kinds)
    sub.add_argument(flag, **settings)


def _metavar(name: str, kinds: set[Any]) -> str:
    if "path" in name:
        return "FOLDER"
    if "model" in name:
        return "MODEL"
    if int in kinds:
        return "N"
    if float in kinds:
        return "SECONDS"
    return {"host": "ADDRESS", "device": "DEVICE", "api_key": "KEY"}.get(name, "SIZE")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None or "default" in (field.description or ""):
        return ""
    value = field.default
    if isinstance(value, bool):
        return f" (default: {'yes' if value else 'no'})"
    return f" (default: {value.human_readable() if hasattr(value, 'human_readable') else value})"


class _KeyValue(argparse.Action):
    """Collects KEY=VALUE into a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        key, equals, value = str(values).partition("=")
        if not equals or not key:
            parser.error(f"{option_string}: write it as KEY=VALUE (got '{values}')")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), key: value})
