"""Messages become a prompt: a model's own Jinja chat template, run as Hugging Face transformers runs it.

Semantics: https://huggingface.co/docs/transformers/chat_templating_writing. The sandbox lets a template see
nothing but what it is given; a template that eats time or memory costs its own worker and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.types import Message

PLAIN_TEMPLATE = """\
{%- if tools -%}
{{- raise_exception('the model has no chat template of its own, so it knows no tools') -}}
{%- endif -%}
{{- bos_token | default('') -}}
{%- for message in messages -%}
{{- message['role'] | capitalize + ': ' + message['content'] + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}
"""
"""What a model without a chat template gets: one line ``Role: content`` a message, then ``Assistant:``.

No space follows the last colon, because most tokenizers keep a word and the space before it in one token.
"""

PLAIN_STOPS = ("\nUser:", "\nSystem:", "\nTool:", "\nAssistant:")
"""Where an answer to PLAIN_TEMPLATE ends: the model begins to write the next turn itself."""

_CONTINUE_HERE = "CONTINUE-THE-FINAL-MESSAGE-HERE "
_LONGEST_REASON = 500
# What Python raises inside a template that does sums on values it did not expect.
_TEMPLATE_BUGS = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    RuntimeError,
    MemoryError,
)
# A template may be valid Jinja and still no valid Python: {% break %} outside a loop, or nested too deeply.
_UNCOMPILABLE = (SyntaxError, RecursionError, MemoryError)


class ChatTemplate:
    """One model's chat template, compiled once; ``source`` None is PLAIN_TEMPLATE.

    ``stops`` are the further stop strings an answer to this template needs, ``variables`` the names that it reads.
    Raises EngineFailed when the template does not compile, so that the load of the model fails with that reason.
    """

    def __init__(self, source: str | None, special_tokens: Mapping[str, str]) -> None:
        self.stops: tuple[str, ...] = PLAIN_STOPS if source is None else ()
        text = PLAIN_TEMPLATE if source is None else source
        self._special_tokens = dict(special_tokens)
        self._knows_developer = "developer" in text
        self._template = _compile(text)
        self.variables = frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(text)))

    def render(
        self,
        messages: Sequence[Message],
        /,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        **kwargs: object,
    ) -> str:
        """The prompt for these messages; ``kwargs`` are further variables that the template may read.

        With ``continue_final_message`` the prompt ends inside the last message, whose text the model goes on
        with; ``add_generation_prompt`` is then without effect. Raises InvalidRequest.
        """
        if "messages" in kwargs:
            raise InvalidRequest("'messages' is no template variable to set.", param="chat_template_kwargs")
        turns = [self._as_dict(message) for message in messages]
        variables = self._special_tokens | {"documents": None} | kwargs
        variables |= {"messages": turns, "tools": tools or None}
        if continue_final_message:
            return self._render_open_ended(turns, variables)
        return _run(self._template, variables | {"add_generation_prompt": add_generation_prompt})

    def _render_open_ended(self, turns: list[dict[str, Any]], variables: dict[str, Any]) -> str:
        if not turns or not isinstance(turns[-1]["content"], str):
            raise _refusal("there is no final message with text to continue")
        turns[-1]["content"] += _CONTINUE_HERE
        prompt = _run(self._template, variables | {"add_generation_prompt": False})
        before, found, _ = prompt.rpartition(_CONTINUE_HERE.strip())
        if not found:
            raise _refusal("it leaves the final message out, so that message cannot be continued")
        # The mark's own trailing space tells whether the template trims messages.
        return before if prompt.startswith(_CONTINUE_HERE, len(before)) else before.rstrip()

    def _as_dict(self, message: Message) -> dict[str, Any]:
        role = message.role
        if role == "developer" and not self._knows_developer:
            role = "system"
        turn: dict[str, Any] = {"role": role, "content": message.content, **message.fields}
        if turn.get("tool_calls"):
            turn["tool_calls"] = [_with_parsed_arguments(call) for call in turn["tool_calls"]]
        return turn


class _Arguments(dict[str, Any]):
    """A tool call's arguments: a dict to templates that expect one, the JSON text to those that print it.

    Hugging Face's convention is a dict, OpenAI's a string, and templates of both kinds are in use.
    """

    def __init__(self, text: str, parsed: Mapping[str, Any]) -> None:
        super().__init__(parsed)
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __add__(self, after: str) -> str:
        return self._text + after

    def __radd__(self, before: str) -> str:
        return before + self._text


class _GenerationTag(Extension):
    """``{% generation %}…{% endgeneration %}`` marks the model's words for training; here it does nothing."""

    tags = {"generation"}  # noqa: RUF012 (Jinja declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Refused(TemplateError):
    """The template itself called raise_exception: its words are meant for people."""


def _compile(source: str) -> Template:
    try:
        return _ENVIRONMENT.from_string(source, globals=_FUNCTIONS)
    except TemplateSyntaxError as exc:
        raise EngineFailed(
            f"The model's chat template does not compile: line {exc.lineno}: {exc.message}. "
            "Repair chat_template.jinja in the model's folder, or remove it to use a plain template."
        ) from exc
    except _UNCOMPILABLE as exc:
        raise EngineFailed(
            "The model's chat template does not compile: a loop tag stands outside a loop, or blocks are "
            "nested too deeply. Repair chat_template.jinja in the model's folder."
        ) from exc


def _run(template: Template, variables: Mapping[str, Any]) -> str:
    try:
        prompt = template.render(variables)
        prompt.encode()
    except UnicodeEncodeError as exc:  # Jinja reads "\\ud800" as half of a character, which no tokenizer takes
        raise _refusal("it writes half of a character, which is no text") from exc
    except _Refused as exc:
        raise _refusal(str(exc)) from exc
    except TemplateError as exc:
        raise _refusal(f"it failed on them ({exc})") from exc
    except _TEMPLATE_BUGS as exc:
        raise _refusal("it failed on them; it may expect other roles, an order of roles, or text") from exc
    return prompt


def _refusal(reason: str) -> InvalidRequest:
    message = f"The model's chat template does not take these messages: {reason[:_LONGEST_REASON]}"
    return InvalidRequest(message, param="messages", code="template_error")


def _with_parsed_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function") or {})
    if isinstance(text := function.get("arguments"), str):
        function["arguments"] = _parse_arguments(text)
    return {**call, "function": function} if function else dict(call)


def _parse_arguments(text: str) -> _Arguments | str:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _Arguments(text, parsed) if isinstance(parsed, dict) else text


def _raise_exception(message: str) -> NoReturn:
    raise _Refused(message)


def _strftime_now(format: str) -> str:  # noqa: A002 (templates name it)
    return datetime.now().strftime(format)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own filter this escapes no HTML: models are trained on plain JSON."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    return environment


_FUNCTIONS: dict[str, Any] = {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
_ENVIRONMENT = _environment()
