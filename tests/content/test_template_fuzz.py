"""Hostile chat templates end in a prompt or in one of our failures, and in nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fluid_server.content.dialects import recognise, skills
from fluid_server.content.template import ChatTemplate
from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.types import Message

MESSAGES = (
    Message(role="system", content=""),
    Message(role="user", content="Hi {{ x }} {% raw %}"),
    Message(
        role="assistant",
        content="",
        fields={"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": [1]}'}}]},
    ),
    Message(role="tool", content="\u2028", fields={"tool_call_id": "c"}),
)
TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
NAMES = st.sampled_from([
    "messages", "tools", "m", "m.content", "m['role']", "m.tool_calls[0].function.arguments", "loop", "loop.index0",
    "bos_token", "nothing", "self", "caller()", "super()", "namespace()", "cycler", "joiner()", "dict", "lipsum",
    "range(3)", "range(10**9)", "none", "true", "x.y.z", "documents", "messages[99]", "messages[-1:]",
    "messages|length", "strftime_now", "strftime_now('%')", "strftime_now(5)", "raise_exception('no')",
    "raise_exception()", "''.__class__.__mro__[1].__subclasses__()", "m.__init__.__globals__", "messages.append(1)",
    "messages.__class__", "tojson", "1/0", "1//0", "2**63", "-1", "'a'*3", "[]", "{}", "{'a':1}.a", "'é\\n'",
    "'\\ud800'", "'%d'%m", "'{0.__class__}'.format(m)", "loop.cycle()", "varargs", "kwargs", "add_generation_prompt",
    "_", "__import__", "print", "m.content.encode()",
])  # fmt: skip
FILTERS = st.sampled_from([
    "tojson", "tojson(indent=-1)", "trim", "first", "last", "random", "sort", "sum", "map('upper')",
    "map(attribute='content')", "join", "list", "length", "selectattr('role','equalto','user')", "groupby('role')",
    "batch(0)", "slice(0)", "int(base=99)", "round(9)", "format(1)", "items", "upper", "replace('a')", "string",
    "safe", "e", "attr('__class__')", "nothing", "xmlattr", "indent(width=m)", "wordwrap(0)", "center(-1)",
    "truncate(0)", "dictsort", "unique", "min", "max", "reverse", "urlize", "filesizeformat", "tojson(sort_keys=1)",
])  # fmt: skip
OPERATORS = st.sampled_from(["+", "~", "in", "and", "==", "<", "is", "is not", "**", "%", "if m else", "not in", "//"])


def _pipe(parts: tuple[str, list[str]]) -> str:
    return "|".join((parts[0], *parts[1]))


VALUES = st.tuples(NAMES, st.lists(FILTERS, max_size=2)).map(_pipe)
EXPRESSIONS = st.one_of(VALUES, st.tuples(VALUES, OPERATORS, VALUES).map(" ".join))
BLOCKS = (
    "{{%- for m in {0} -%}}{1}{{%- endfor -%}}",
    "{{% for m in {0} if m recursive %}}{{{{ loop({0}) }}}}{1}{{% endfor %}}",
    "{{% if {0} %}}{1}{{% else %}}{1}{{% endif %}}",
    "{{% macro f(a={0}) %}}{1}{{{{ f() }}}}{{% endmacro %}}{{{{ f() }}}}",
    "{{% set x = {0} %}}{1}",
    "{{% set ns = namespace(a={0}) %}}{{% set ns.a = {0} %}}{1}",
    "{{% call {0} %}}{1}{{% endcall %}}",
    "{{% filter upper %}}{1}{{{{ {0} }}}}{{% endfilter %}}",
    "{{% generation %}}{1}{{{{ {0} }}}}{{% endgeneration %}}",
    "{{% block b %}}{1}{{{{ {0} }}}}{{% endblock %}}",
    "{{% with a = {0} %}}{1}{{% endwith %}}",
    "{1}{{% break %}}{{{{ {0} }}}}",
)
LEAVES = st.one_of(
    EXPRESSIONS.map("{{{{ {} }}}}".format),
    st.text(max_size=8),
    st.sampled_from([
        "{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}", "{% endfor %}", "{{", "{%", "{#", "%}",
        "{% trans %}", "{% do x %}", "{% continue %}", "{% raw %}", "{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "\x00",
    ]),
)  # fmt: skip
TEMPLATES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(BLOCKS), EXPRESSIONS, st.lists(inner, max_size=3).map("".join)).map(
        lambda parts: parts[0].format(parts[1], parts[2])
    ),
    max_leaves=12,
)


def _rendered(source: str, **how: Any) -> str | None:
    """The prompt, or None where the template is refused in our words."""
    try:
        template = ChatTemplate(source, {"bos_token": "<s>"})
    except EngineFailed:
        return None
    try:
        return template.render(MESSAGES, tools=TOOLS, enable_thinking=True, **how)
    except InvalidRequest as refusal:
        assert refusal.param == "messages"
        return None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEMPLATES)
@example("{{ '\\ud800' }}")
@example("{{ 'abcdef'|truncate(0) }}")
@example("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}")
@example("{{ -" + "-" * 5000 + "1 }}")
@example("{% if 1 %}" * 200 + "{% endif %}" * 200)
def test_a_template_ends_in_a_prompt_or_in_our_failure(source: str) -> None:
    for how in ({}, {"add_generation_prompt": False}, {"continue_final_message": True}):
        prompt = _rendered(source, **how)
        assert prompt is None or prompt.encode("utf-8") is not None


@settings(max_examples=50, deadline=None)
@given(st.one_of(TEMPLATES, st.text(max_size=80)))
def test_any_template_teaches_some_dialect(source: str) -> None:
    assert recognise(source).name
    assert skills(source) <= {"tools", "reasoning"}
