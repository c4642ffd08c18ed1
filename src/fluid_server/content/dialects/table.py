"""Which dialect a model writes: by name, or read off its chat template."""

from __future__ import annotations

from fluid_server.content.dialects.base import Dialect
from fluid_server.content.dialects.gemma import FunctionGemma, Gemma3, Gemma4
from fluid_server.content.dialects.glm import GLM, CompactGLM
from fluid_server.content.dialects.harmony import Harmony
from fluid_server.content.dialects.hermes import Hermes
from fluid_server.content.dialects.json_lists import Apriel, Functools, Granite, Nemotron, Phi4
from fluid_server.content.dialects.llama import LFM2, Llama, Pythonic
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.mistral import Mistral, MistralList
from fluid_server.content.dialects.plain import Plain
from fluid_server.content.dialects.sections import DeepSeek, DeepSeekV31, Kimi
from fluid_server.content.dialects.thinking import Thinking
from fluid_server.content.dialects.xml import XML, Seed

_ALL: tuple[Dialect, ...] = (
    Plain(),
    Thinking(),
    Hermes(),
    XML(),
    Seed(),
    GLM(),
    CompactGLM(),
    Llama(),
    Pythonic(),
    LFM2(),
    Mistral(),
    MistralList(),
    Phi4(),
    Functools(),
    Granite(),
    Nemotron(),
    Apriel(),
    DeepSeek(),
    DeepSeekV31(),
    Kimi(),
    Gemma3(),
    Gemma4(),
    FunctionGemma(),
    Harmony(),
)
DIALECTS: dict[str, Dialect] = {one.name: one for one in _ALL}

# What a template says that teaches a dialect: all of the texts, none of those behind "not ". The first that fits.
_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("harmony", ("<|channel|>", "<|message|>")),
    ("deepseek", ("<｜tool▁calls▁begin｜>", "```json")),
    ("deepseek-v3.1", ("<｜tool▁calls▁begin｜>",)),
    ("kimi", ("<|tool_calls_section_begin|>",)),
    ("gemma4", ("<|tool_call>", "<tool_call|>")),
    ("functiongemma", ("<start_function_call>",)),
    ("mistral", ("[TOOL_CALLS]", "[ARGS]")),
    ("mistral-list", ("[TOOL_CALLS]",)),
    ("glm-4.7", ("<arg_key>{arg-key-1}</arg_key><arg_value>",)),
    ("glm", ("<arg_key>",)),
    ("seed", ("<seed:tool_call>",)),
    ("qwen3-coder", ("<function=", "<parameter=")),
    ("lfm2", ("<|tool_call_start|>",)),
    ("lfm2", ("<|tool_list_start|>",)),
    ("nemotron", ("<TOOLCALL>",)),
    ("apriel", ("<tool_calls>[",)),
    ("phi4", ("<|/tool_call|>",)),
    ("functools", ("functools[",)),
    ("phi4", ("<|tool|>", "<|/tool|>")),
    ("granite", ("<|tool_call|>",)),
    ("hermes", ("<tool_call>",)),
    ("gemma3", ("tool_code",)),
    ("pythonic", ("[func_name1(",)),
    ("llama", ("<|python_tag|>",)),
    ("llama", ("<|python_start|>",)),
    ("llama", ("<|start_header_id|>", '"parameters"')),
)
_REASONING = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
)


def recognise(template: str | None) -> Dialect:
    """The dialect that a chat template teaches; Plain where it teaches none that is known.

    A family keeps its own marks of reasoning unless the template has others and not those.
    """
    if template is None:
        return DIALECTS["plain"]
    name = next((name for name, texts in _SIGNS if all(text in template for text in texts)), None)
    reasoning = next((pair for pair in _REASONING if pair[1] in template), None)
    if name is None and reasoning is None:
        return DIALECTS["plain"]
    found = DIALECTS[name or "thinking"]
    if reasoning is None or not isinstance(found, MarkedDialect) or (found.closing and found.closing in template):
        return found
    return found if found.opening == reasoning[0] else found.thinking_between(*reasoning)


def skills(template: str | None, name: str | None = None) -> frozenset[str]:
    """What a chat template lets a model do: tools, reasoning. ``name`` is a dialect's, where one is set."""
    dialect = DIALECTS.get(name) if name is not None else None
    dialect = dialect or recognise(template)
    found = {"reasoning"} if dialect.opening else set()
    if dialect.calls_tools and "tools" in (template or ""):
        found.add("tools")
    return frozenset(found)
