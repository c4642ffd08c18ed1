"""Write docs/reference from the code: settings, command line, API, errors, presets.

uv run scripts/reference.py           write the pages
uv run scripts/reference.py presets   write only this one
uv run scripts/reference.py --check   only say which pages differ from the code; exit code 1 where one does
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ByteSize
from pydantic.fields import FieldInfo

import fluid_server
from fluid_server import errors
from fluid_server.api.auth import OPEN_PATHS
from fluid_server.api.errors import status_of
from fluid_server.api.schemas.fields import CHAT, COMPLETION, SPEAKING, TRANSCRIPTION, TRANSLATION, Contract
from fluid_server.api.schemas.realtime_session import AUDIO, INPUT, SESSION, TURNS
from fluid_server.api.schemas.realtime_session import TRANSCRIPTION as LIVE_TRANSCRIPTION
from fluid_server.api.schemas.responses_fields import INPUT_TOKENS, RESPONSES
from fluid_server.api.schemas.transcription import NO_SPEAKERS
from fluid_server.app import create_app
from fluid_server.catalog.presets import PRESETS, Preset, runs
from fluid_server.cli.exit_codes import ExitCode
from fluid_server.cli.main import parser
from fluid_server.config import DEFAULT_FILE, ENV_PREFIX, ServerConfig
from fluid_server.runtimes.table import RUNTIMES
from fluid_server.types import Format, Kind

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
GENERATED = "<!-- Written by `uv run scripts/reference.py` from the code. Change the code, then run it again. -->"
HELP_COLUMNS = "100"
METHODS = ("get", "post", "put", "patch", "delete")
CONTRACTS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/audio/transcriptions": TRANSCRIPTION,
    "/v1/audio/translations": TRANSLATION,
    "/v1/audio/speech": SPEAKING,
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": INPUT_TOKENS,
}
# What the codes mean that are given where a failure is raised, and not by its class.
FURTHER_CODES = {
    "audio_too_long": "The decoded audio is longer than `--max-audio-seconds`",
    "disk_failed": "A file of a download could not be written or read",
    "input_audio_buffer_commit_empty": "A realtime session's buffer holds too little sound to be written down",
    "input_audio_buffer_full": "More sound has come to a realtime session than may wait",
    "internal_error": "A defect of the server; its log has the details",
    "invalid_body": "The body, or its Content-Type, is not a JSON object or, for audio, not a multipart form",
    "invalid_encrypted_content": "The reasoning was sealed by another server, or is damaged",
    "invalid_json": "The body is not valid JSON",
    "invalid_unicode": "A text holds half of a character (a lone surrogate)",
    "invalid_type": "The field `param` has the wrong type",
    "invalid_value": "The field `param` has a value that is not allowed",
    "missing_required_parameter": "The field `param` is missing",
    "previous_response_not_found": "The response to continue, or one that it continues, is not kept (any more)",
    "store_busy": "Another program holds the database; see Retry-After",
    "store_damaged": "The database file is damaged, or is no database",
    "store_full": "The disk of the database is full",
    "store_too_new": "A newer version of this program has written the database",
    "store_unreachable": "The database's server does not answer, or does not let this one in",
    "store_unusable": "The database file cannot be opened or written",
    "template_error": "The model's chat template does not take these messages",
    "too_many_unanswered": "Too many commits and clears of a realtime session have no answer yet",
    "unknown_parameter": "There is no field `param`",
    "warming_up": "Models are still being warmed up: only `/ready` says this",
}
# Failures of HTTP itself: the code is the status's name.
HTTP_CODES = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "The path does not take this method",
}

Json = Mapping[str, Any]


# --- Markdown ------------------------------------------------------------------------------------------------


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", GENERATED, *(part for part in parts if part)]) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`"


def sentence(text: str) -> str:
    """A description's lines as one line, as Markdown writes code."""
    return " ".join(text.replace("``", "`").split())


# --- configuration.md ----------------------------------------------------------------------------------------

CONFIGURATION = f"""\
A setting is read from four places. The first that has it wins:

1. the flag on the command line;
2. the environment variable;
3. the file `.env` in the working folder;
4. a TOML file: the one that `--config` or `{ENV_PREFIX}CONFIG` names, else `{DEFAULT_FILE}` in the working folder.

The values of all sources are checked before the server listens. A setting in the TOML file that does not exist is
an error."""

WRITING = """\
## How values are written

| Type | Flag | Environment | File |
| --- | --- | --- | --- |
| yes or no | `--warm-up`, `--no-warm-up` | `FLUID_WARM_UP=false` | `warm_up = false` |
| size | `--max-memory 8GB`; `GiB` counts in 1024s | `FLUID_MAX_MEMORY=8GB` | `max_memory = "8GB"` |
| list | the flag once for each entry | commas: `FLUID_ALLOWED_HOSTS=ai.example,b.example` \
| `allowed_hosts = ["ai.example"]` |
| pairs | `--openvino KEY=VALUE`, once for each | commas: `FLUID_OPENVINO=KEY=VALUE,KEY=VALUE` \
| `openvino = {KEY = "VALUE"}` |
| number, text, folder | `--port 9000` | `FLUID_PORT=9000` | `port = 9000` |"""


def configuration() -> str:
    rows = [_setting(name, field) for name, field in ServerConfig.model_fields.items()]
    columns = ("Flag", "Environment", "File", "Type", "Default", "What it does")
    return page("Configuration", CONFIGURATION, "## Settings", table(columns, rows), WRITING)


def _setting(name: str, field: FieldInfo) -> tuple[str, ...]:
    description, inner = _without_default(field.description or "")
    return (
        code("--" + name.replace("_", "-")),
        code(ENV_PREFIX + name.upper()),
        code(name),
        _setting_type(field.annotation),
        inner or _default(field),
        description,
    )


def _without_default(description: str) -> tuple[str, str]:
    """A description may say its default itself, where that is not one value: split it off."""
    match = re.fullmatch(r"(.*?) \(default: (.*)\)", description.replace("%%", "%"))
    return (match[1], match[2]) if match else (description.replace("%%", "%"), "")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return code(field.default.human_readable() if isinstance(field.default, ByteSize) else field.default)


def _setting_type(annotation: Any) -> str:
    kinds = {annotation, *get_args(annotation)} - {type(None)}
    names = {bool: "yes or no", int: "whole number", float: "number", ByteSize: "size", Path: "folder"}
    if get_origin(annotation) in (list, dict):
        return "list" if get_origin(annotation) is list else "pairs"
    if all(isinstance(kind, str) for kind in get_args(annotation)) and get_args(annotation):
        return " or ".join(code(kind) for kind in get_args(annotation))
    return next((name for kind, name in names.items() if kind in kinds), "text")


# --- cli.md --------------------------------------------------------------------------------------------------


def exit_codes() -> str:
    rows = [(str(int(one)), one.meaning) for one in ExitCode]
    return "## Exit codes\n\n" + table(("Code", "Meaning"), rows)


def command_line() -> str:
    os.environ |= {"COLUMNS": HELP_COLUMNS, "NO_COLOR": "1"}
    top = parser()
    parts = [_help("fluid-server", top)]
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts += [_help(f"fluid-server {verb}", sub) for verb, sub in action.choices.items()]
    return page("Command line", "Without a verb, `fluid-server` serves. `python -m fluid_server` is the same.", *parts,
                exit_codes())  # fmt: skip


def _help(title: str, command: argparse.ArgumentParser) -> str:
    return f"## {title}\n\n```\n{command.format_help().rstrip()}\n```"


# --- api.md --------------------------------------------------------------------------------------------------


def api() -> str:
    schema = create_app(ServerConfig.model_construct()).openapi()
    types: dict[str, Json] = schema["components"]["schemas"]
    operations = [
        _operation(path, method, item[method], types)
        for path, item in schema["paths"].items()
        for method in METHODS
        if method in item
    ]
    bodies = {_body_name(item["post"]) for item in schema["paths"].values() if "post" in item}
    sent = _reached(bodies, types)
    described = [_type(name, body, sent=name in sent) for name, body in types.items() if name not in bodies]
    return page("API", _api_opening(), *operations, _live(), "## Types", *described)


def _api_opening() -> str:
    return f"""\
The base URL of an OpenAI client is `http://127.0.0.1:8080/v1`. A running server shows the same in its own pages:
`/docs`, `/redoc` and `/openapi.json`.

Where the server has an API key, requests need `Authorization: Bearer KEY`. {_listed(sorted(OPEN_PATHS))} need none.
Failures are described in [errors](errors.md); a 403 or 405 may come from every path.

A field is honoured, or accepted without effect, or refused. A refused or unknown field is a 400 that names it. `null`
and the values under “passes” ask for nothing and are let through."""


def _live() -> str:
    """The WebSocket, which no OpenAPI description holds."""
    said = "A transcription session in OpenAI's shape: see [live speech](../guides/realtime.md)."
    levels = {"session": SESSION, "session.audio": AUDIO, "session.audio.input": INPUT}
    levels |= {"session.audio.input.transcription": LIVE_TRANSCRIPTION, "session.audio.input.turn_detection": TURNS}
    parts = ["## WebSocket /v1/realtime", said]
    for name, one in levels.items():
        parts += [f"Of {code(name)} are honoured: {_listed(sorted(one.honoured))}.", _contract(one)]
    return "\n\n".join(parts)


def _operation(path: str, method: str, operation: Json, types: Mapping[str, Json]) -> str:
    parts = [f"## {method.upper()} {path}", sentence(operation["description"])]
    for name, media in _content(operation.get("requestBody")):
        body = _honoured(path, types.get(_body_name(operation), media["schema"]))
        parts += [f"Fields of the body, {code(name)}, that are honoured:", _fields(body, sent=True)]
    if path in CONTRACTS:
        parts.append(_contract(CONTRACTS[path]))
    if path == "/v1/audio/transcriptions":
        parts.append(f"`response_format` `{NO_SPEAKERS}` is refused: speakers are not told apart.")
    parts.append(table(("Status", "Body", "Meaning"), _responses(operation["responses"])))
    return "\n\n".join(parts)


def _honoured(path: str, body: Json) -> Json:
    """A body without the fields that are only read to be repeated in the answer."""
    accepted = CONTRACTS[path].accepted if path in CONTRACTS else {}
    kept = {name: one for name, one in body.get("properties", {}).items() if name not in accepted}
    return {**body, "properties": kept}


def _content(body: Json | None) -> Iterator[tuple[str, Json]]:
    yield from (body or {}).get("content", {}).items()


def _body_name(operation: Json) -> str:
    """The name of the type that a request's body has, or nothing."""
    names = [_name(media["schema"]) for _, media in _content(operation.get("requestBody"))]
    return names[0] if names else ""


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _reached(names: Iterable[str], types: Mapping[str, Json]) -> set[str]:
    """The types that can be part of these."""
    reached: set[str] = set()
    open_names = [name for name in names if name]
    while open_names:
        name = open_names.pop()
        if name not in reached:
            reached.add(name)
            open_names += re.findall(r"#/components/schemas/(\w+)", str(types[name]))
    return reached


def _responses(responses: Json) -> Iterator[tuple[str, ...]]:
    for status, response in responses.items():
        kinds = [
            _kind(media["schema"]) if name == "application/json" else code(name) for name, media in _content(response)
        ]
        yield status, ", ".join(kinds) or "JSON", response["description"].replace("Successful Response", "Success")


def _contract(contract: Contract) -> str:
    """What is not honoured; the honoured fields are those of the body's schema."""
    rows = [(code(name), "accepted", why, "any value") for name, why in sorted(contract.accepted.items())]
    for name, refusal in sorted(contract.refused.items()):
        rows.append((code(name), "refused", refusal.reason, _listed(dict.fromkeys(map(_json, refusal.harmless)))))
    return table(("Further field", "What becomes of it", "Why", "Passes"), rows)


def _json(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(code(text) for text in texts)


def _type(name: str, body: Json, *, sent: bool) -> str:
    return "\n\n".join([f"### {name}", sentence(body.get("description", "")), _fields(body, sent=sent)])


def _fields(body: Json, *, sent: bool) -> str:
    """A type's fields; whether one is required is only of interest in what a client sends."""
    required = body.get("required", [])
    columns = ("Field", "Type", "Required", "")
    rows = [
        (code(name), _kind(one), "yes" if name in required else "", sentence(one.get("description", "")))
        for name, one in body.get("properties", {}).items()
    ]
    return table(columns, rows) if sent else table(columns[:2] + columns[3:], [row[:2] + row[3:] for row in rows])


def _kind(schema: Json) -> str:
    """A JSON schema in words: `string`, `integer (1 or more)`, a link to a type of ours."""
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_kind(one) for one in schema[union])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    if schema.get("type") == "array":
        item = _kind(schema.get("items") or {"type": "anything"})
        return f"list of {f'({item})' if ' ' in item else item}{_bounds(schema)}"
    return str(schema.get("format" if schema.get("format") == "binary" else "type", "anything")) + _bounds(schema)


BOUNDS: Mapping[str, Callable[[str], str]] = {
    "minimum": lambda value: f"{value} or more",
    "exclusiveMinimum": lambda value: f"more than {value}",
    "maximum": lambda value: f"at most {value}",
    "exclusiveMaximum": lambda value: f"less than {value}",
    "maxLength": lambda value: f"at most {value} characters",
    "minItems": lambda value: f"at least {value}",
    "maxItems": lambda value: f"at most {value}",
}


def _bounds(schema: Json) -> str:
    said = [words(_number(schema[bound])) for bound, words in BOUNDS.items() if bound in schema]
    return f" ({', '.join(said)})" if said else ""


def _number(value: float) -> str:
    """Powers of two that nobody reads as digits; 2.0 is 2."""
    power = int(abs(value)).bit_length() - 1
    if power > 30 and abs(value) == 2**power:
        return f"{'-' if value < 0 else ''}2^{power}"
    return f"{value:g}"


# --- errors.md -----------------------------------------------------------------------------------------------

ERRORS = """\
Every failure has one shape, whatever its path and status, streamed or not:

```json
{"error": {"message": "There is no model 'nope'. …", "type": "invalid_request_error", "param": "model",
           "code": "model_not_found"}}
```

`message` is for people and may change. `code` is for programs. `param` names the field, or is `null`. After the first
byte of a stream the status is 200 already: the error then comes as the stream's last event, and no `[DONE]` follows.
Where a second try makes sense the answer has a `Retry-After` header, in seconds.

What to do about each is in [troubleshooting](../guides/troubleshooting.md)."""


def error_page() -> str:
    further = _further_codes()
    if odd := further.keys() ^ FURTHER_CODES.keys():
        raise SystemExit(f"FURTHER_CODES in scripts/reference.py lacks, or has too many: {', '.join(sorted(odd))}.")
    rows = [(code(name), f"{status}", FURTHER_CODES[name]) for name, status in sorted(further.items())]
    rows += [(code(status.phrase.lower().replace(" ", "_")), f"{status}", why) for status, why in HTTP_CODES.items()]
    return page(
        "Errors",
        ERRORS,
        "## The tree",
        table(("Class", "`type`", "`code`", "Status", "Meaning"), _tree(errors.FluidError, 0)),
        "`ClientGone` is only seen in the log, `ConfigError` and `CannotStart` in the terminal: no client gets them.",
        "## Further codes",
        "These say more exactly what the class says.",
        table(("`code`", "Status", "Meaning"), rows),
    )


def _tree(kind: type[errors.FluidError], depth: int) -> Iterator[tuple[str, ...]]:
    meaning = sentence(inspect.getdoc(kind) or "").rstrip(".")
    name = "&nbsp;" * 4 * depth + code(kind.__name__)
    yield name, code(kind.type), code(kind.code) if kind.code else "", f"{_status(kind)}", meaning
    for child in kind.__subclasses__():
        yield from _tree(child, depth + 1)


def _status(kind: type[errors.FluidError]) -> int:
    """The class decides; what a failure is made with differs from class to class."""
    return status_of(kind.__new__(kind))


def _further_codes() -> dict[str, int]:
    """Codes that are written at the place of failure, with the status of the class that is raised there."""
    found: dict[str, set[int]] = defaultdict(set)
    package = Path(fluid_server.__file__).parent
    for file in sorted(package.rglob("*.py")):
        if file.name != "errors.py" or file.parent != package:
            for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    _collect_codes(function, found)
    return {name: min(statuses) for name, statuses in found.items() if statuses}


def _collect_codes(function: ast.AST, found: dict[str, set[int]]) -> None:
    """In one function: ``Class(…, code="x")``, and ``code = "x" if … else "y"`` before a ``Class(…, code=code)``."""
    assigned = {
        text
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "code" for to in node.targets)
        for text in _texts(node.value)
    }
    for node in ast.walk(function):
        kind = (
            getattr(errors, node.func.id, None)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            else None
        )
        if isinstance(node, ast.Call) and inspect.isclass(kind) and issubclass(kind, errors.FluidError):
            for keyword in node.keywords:
                if keyword.arg == "code":
                    for text in _texts(keyword.value) or assigned:
                        found[text].add(_status(kind))


def _texts(value: ast.expr) -> set[str]:
    """The texts that an expression may be: a literal, or one of two."""
    if isinstance(value, ast.IfExp):
        return _texts(value.body) | _texts(value.orelse)
    return {value.value} if isinstance(value, ast.Constant) and isinstance(value.value, str) else set()


# --- presets.md ----------------------------------------------------------------------------------------------

PRESETS_OPENING = """\
Models that are known to be good. An alias stands for its repository on the Hugging Face Hub wherever a name of a model
to download is taken, in any letter case. Every other repository can be named in full: `owner/repo`, or
`owner/repo:QUANTIZATION` for GGUF.

- `~` marks a size that is rounded by its source, or follows from published parts or parameter counts. The others are
  as the Hub, or projects that pin the same files, have published them. A repository that changes has other sizes.
- “Memory” is an estimate for the loaded model, with a context of 4,096 tokens where the shape of its KV cache is known.
- “Runs here” says whether this version has a runtime for the model's format and kind. Of a vision model in GGUF form,
  the language half runs.
- The licence is the one known when this table was made; the repository's own page has the last word."""
PRESETS_COLUMNS = ("Alias", "Billions", "Download", "Memory", "Made for", "Runs here", "Licence", "What it is for",
                   "Repository")  # fmt: skip


def preset_page() -> str:
    parts = [f"## {kind.capitalize()}\n\n{_presets(kind)}" for kind in dict.fromkeys(one.kind for one in PRESETS)]
    return page("Presets", PRESETS_OPENING, *parts)


def _presets(kind: Kind) -> str:
    served = {(form, each) for entry in RUNTIMES.values() for form in entry.formats for each in entry.kinds}
    return table(PRESETS_COLUMNS, [_preset(one, here=runs(one, served)) for one in PRESETS if one.kind is kind])


def _preset(one: Preset, *, here: bool) -> tuple[str, ...]:
    return (
        code(one.alias),
        f"{one.parameters:g}",
        f"~{_rounded(round(one.size_bytes, -7))}" if one.estimated else _rounded(one.size_bytes),
        _rounded(one.memory_bytes),
        f"{one.device} ({'OpenVINO' if one.format is Format.OPENVINO else one.format.upper()})",
        "yes" if here else "not yet",
        one.licence,
        one.summary,
        code(one.name),
    )


def _rounded(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


# --- all -----------------------------------------------------------------------------------------------------

PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "api.md": api,
    "errors.md": error_page,
    "presets.md": preset_page,
}


def drifted(folder: Path = FOLDER, names: Iterable[str] = PAGES) -> list[str]:
    """The names of the pages that are not what the code says."""
    files = {name: folder / name for name in names}
    return [
        name for name, file in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != PAGES[name]()
    ]


def write_all(folder: Path = FOLDER, names: Iterable[str] = PAGES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8", newline="\n")


def _page_name(text: str) -> str:
    if f"{text}.md" in PAGES:
        return f"{text}.md"
    known = ", ".join(name.removesuffix(".md") for name in PAGES)
    raise argparse.ArgumentTypeError(f"no page is called '{text}': choose from {known}")


def main(arguments: Sequence[str] | None = None) -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("pages", nargs="*", metavar="PAGE", help="only these, without .md", type=_page_name)
    command.add_argument("--check", action="store_true", help="write nothing; fail where a page differs")
    chosen = command.parse_args(arguments)
    if not chosen.check:
        write_all(names=chosen.pages or PAGES)
        return 0
    changed = drifted(names=chosen.pages or PAGES)
    for name in changed:
        print(f"docs/reference/{name} is not what the code says: run 'uv run scripts/reference.py'", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
