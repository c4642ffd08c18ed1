"""The verbs: what each is for, what it takes, and where it is written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fluid_server.cli import bench_flags, service_flags
from fluid_server.config import ServerConfig

Arguments = argparse.ArgumentParser
FINDING = ("host", "port", "data_dir", "model_path", "api_key")  # which server, or else which folder
ASKING = {"host": "address of the server to ask", "port": "its port", "api_key": "its key; better by FLUID_API_KEY"}
SETTINGS = """\
Every flag can also be set in the environment (FLUID_PORT=9000, or a .env file) or in a TOML file
(--config fluid.toml). Flags win over the environment, the environment over the file.
"""
FIRST_EXAMPLES = """\
examples:
  fluid-server                              serve ./models on http://127.0.0.1:8080
  fluid-server --port 0 --device GPU        take a free port, run models on the GPU
  fluid-server --llm-model fluid-tiny-ov    warm up this language model
  fluid-server list --available             what models are known, and which fit this machine
  fluid-server pull qwen3-4b                fetch one
  fluid-server ps                           what is in memory now
  fluid-server doctor                       what runs on this machine, and why not
"""
SERVER_OR_FOLDER = """\
A running server is asked: the one that --host and --port name, else the one that serves the models
folder, else the one at the configured address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb. ``target`` is the module and function, imported when it is typed.

    ``settings`` are those of the server's settings that are flags of it. ``finds_server``: it is given a Place, not
    only the settings. ``hands_on``: what follows ``--`` are flags of serve, whose settings it is given.
    """

    summary: str
    target: str
    settings: tuple[str, ...] = tuple(ServerConfig.model_fields)
    arguments: Callable[[Arguments], None] = lambda _: None
    notes: str = ""
    finds_server: bool = True
    hands_on: bool = False


def _serve(sub: Arguments) -> None:
    sub.add_argument(
        "--ready-json", action="store_true", default=False, help="say on stdout, as one line of JSON, where it listens"
    )
    sub.add_argument("--parent-pid", type=int, metavar="PID", default=None, help="end when this process has ended")
    sub.add_argument(
        "--exit-with-stdin", action="store_true", default=False, help="end when standard input has been closed"
    )


def _json(sub: Arguments, text: str = "write JSON for machines") -> None:
    sub.add_argument("--json", dest="as_json", action="store_true", default=False, help=text)


def _name(sub: Arguments, text: str = "the model, by any of its names: see fluid-server list") -> None:
    sub.add_argument("name", metavar="NAME", type=name_typed, help=text)


def name_typed(text: str) -> str:
    """A name that is one. Errors: ArgumentTypeError."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is needed")
    return text.strip()


def _pull(sub: Arguments) -> None:
    _name(sub, "a known model's name, or owner/repo, owner/repo:QUANT, owner/repo/file.gguf on the Hub")
    _json(sub, "write lines of JSON, one for each change of state and for progress")


def _list(sub: Arguments) -> None:
    sub.add_argument(
        "--available", action="store_true", default=False, help="the models that can be fetched by a short name"
    )
    _json(sub)


def _ps(sub: Arguments) -> None:
    sub.add_argument("--watch", action="store_true", default=False, help="refresh each second until Ctrl-C")
    _json(sub)


def _load(sub: Arguments) -> None:
    _name(sub)
    sub.add_argument(
        "--keep-alive",
        metavar="TIME",
        default=None,
        help="how long it stays when nobody uses it: seconds, or text such as 10m or 1h30m; -1: for ever",
    )
    sub.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="never unload it when idle or to make room for another, until --no-pin",
    )
    _json(sub)


def _name_and_json(sub: Arguments) -> None:
    _name(sub)
    _json(sub)


def _rm(sub: Arguments) -> None:
    _name(sub)
    sub.add_argument("-y", "--yes", action="store_true", default=False, help="do not ask")
    _json(sub)


def _show(sub: Arguments) -> None:
    _name(sub)
    sub.add_argument("--template", action="store_true", default=False, help="print the chat template, and only that")
    _json(sub)


VERBS: Mapping[str, Verb] = {
    "serve": Verb(
        summary="start the server (the default)",
        target="serve:run",
        arguments=_serve,
        notes=f"{SETTINGS}\n{FIRST_EXAMPLES}",
        finds_server=False,
    ),
    "pull": Verb(
        summary="fetch a model from the Hugging Face Hub, or go on where that stopped",
        target="pull:run",
        settings=FINDING,
        arguments=_pull,
        notes="""\
Ctrl-C pauses: what is here stays, and the same command goes on from there. A running server does the
fetching, if there is one; Ctrl-C does not end what it fetches for somebody else already. Without one,
this command does. HF_TOKEN opens gated and private repositories.

examples:
  fluid-server pull qwen3-4b                            a known model: see list --available
  fluid-server pull Qwen/Qwen3-4B-GGUF                  the usual quantisation of a GGUF repository
  fluid-server pull Qwen/Qwen3-4B-GGUF:Q8_0             another one
  fluid-server pull OpenVINO/Qwen3-8B-int4-ov@1a2b3c4   at one revision
""",
    ),
    "list": Verb(
        summary="list the models that are here, or those that can be fetched",
        target="list:run",
        settings=(*FINDING, "echo"),
        arguments=_list,
        notes=f"""\
{SERVER_OR_FOLDER} Without one, the models folder is read.

examples:
  fluid-server list                what is here, broken models with their reasons
  fluid-server list --available    what can be fetched by a short name, and what fits this machine
  fluid-server list --json         for machines
""",
    ),
    "ps": Verb(
        summary="show what is in memory now, and what is being fetched",
        target="ps:run",
        settings=FINDING,
        arguments=_ps,
        notes=f"""\
{SERVER_OR_FOLDER}

examples:
  fluid-server ps            which models are loaded, where, and until when
  fluid-server ps --watch    the same, refreshed each second
""",
    ),
    "load": Verb(
        summary="load a model into a running server's memory",
        target="load:load",
        settings=FINDING,
        arguments=_load,
        notes="""\
examples:
  fluid-server load qwen3-4b                     wait until it is ready
  fluid-server load qwen3-4b --keep-alive 2h     and keep it for two hours after its last request
  fluid-server load qwen3-4b --pin               and never let it go by itself
""",
    ),
    "unload": Verb(
        summary="let a model go from a running server's memory",
        target="load:unload",
        settings=FINDING,
        arguments=_name_and_json,
        notes="""\
A model that is answering a request stays, and this says so.

examples:
  fluid-server unload qwen3-4b
""",
    ),
    "rm": Verb(
        summary="remove a model from the disk, or an unfinished download",
        target="rm:run",
        settings=FINDING,
        arguments=_rm,
        notes="""\
It asks first. A folder that is a link is not followed: only the link goes. What a download has left
unfinished goes by its name too.

examples:
  fluid-server rm qwen3-4b                  asks, with the model's size
  fluid-server rm fluid-tiny-gguf:F16 -y    one quantisation of several; does not ask
""",
    ),
    "show": Verb(
        summary="show what a model is, what it needs, and what would run it here",
        target="show:run",
        settings=(*FINDING, "device", "context_length", "echo"),
        arguments=_show,
        notes="""\
examples:
  fluid-server show qwen3-4b
  fluid-server show qwen3-4b --context-length 8192    the memory that this context takes
  fluid-server show qwen3-4b --template               its chat template
""",
    ),
    "bench": Verb(
        summary="measure how fast a model answers, for one client and for many",
        target="bench:run",
        settings=FINDING,
        arguments=bench_flags.arguments,
        notes=bench_flags.NOTES,
    ),
    "service": Verb(
        summary="have the system start the server, and start it again when it fails",
        target="service:run",
        settings=(),
        arguments=service_flags.arguments,
        notes=service_flags.NOTES,
        finds_server=False,
        hands_on=True,
    ),
    "doctor": Verb(
        summary="check packages, devices, models, port and disk",
        target="doctor:run",
        arguments=_json,
        finds_server=False,
    ),
}
# What people type who know another program.
ALSO_CALLED = {
    "ls": "list", "models": "list", "search": "list", "download": "pull", "get": "pull", "fetch": "pull",
    "add": "pull", "install": "pull", "remove": "rm", "delete": "rm", "del": "rm", "uninstall": "rm", "info": "show",
    "inspect": "show", "start": "serve", "run": "serve", "stop": "unload", "status": "ps", "top": "ps",
    "check": "doctor", "benchmark": "bench", "perf": "bench", "speed": "bench",
    "daemon": "service", "systemd": "service", "autostart": "service",
}  # fmt: skip
