"""Every field of the Responses API and what becomes of it, as schemas.fields has it for the other endpoints."""

from __future__ import annotations

from fluid_server.api.schemas.fields import SAMPLING, Contract, Refusal

NO_COMPACTION = "conversations are not compacted; use 'truncation': 'auto'"
PROMPT = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "conversation",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "truncation",
    }
)
"""What the prompt is made of: the fields that counting it needs."""

RESPONSES = Contract(
    honoured=PROMPT
    | SAMPLING
    | {
        "background",
        "chat_template_kwargs",
        "ignore_eos",
        "include",
        "keep_alive",
        "max_output_tokens",
        "metadata",
        "safety_identifier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "timings",
        "top_logprobs",
        "user",
    },
    accepted={
        "max_tool_calls": "it counts calls of hosted tools, and there are none; the answer repeats it",
        "prompt_cache_key": "all prompts of a model share its prefix cache; the answer repeats it",
        "prompt_cache_options": "all prompts of a model share its prefix cache, where its runtime has one",
        "prompt_cache_retention": "the prefix cache lives as long as the model is loaded; the answer repeats it",
    },
    refused={
        "access_programs": Refusal("there are none"),
        "context_management": Refusal(NO_COMPACTION, ([],)),
        "image": Refusal("models here read text"),
        "moderation": Refusal("there is no moderation model"),
        "prompt": Refusal("prompts are not stored here; send 'instructions' and 'input'"),
        "service_tier": Refusal("there is one tier", ("auto", "default")),
    },
)
REPEATED = ("max_tool_calls", "prompt_cache_key", "prompt_cache_retention")
"""Those of the accepted fields that an answer holds again."""

INPUT_TOKENS = Contract(
    honoured=PROMPT | {"chat_template_kwargs", "keep_alive"},
    refused={"personality": Refusal("models here have none to choose; describe it in 'instructions'")},
)

HOSTED_TOOLS = {
    "apply_patch": "patches are not applied here",
    "code_interpreter": "no code is run here",
    "computer": "there is no computer to use",
    "computer_use_preview": "there is no computer to use",
    "file_search": "there is no file search",
    "image_generation": "a response cannot make images",
    "local_shell": "there is no shell",
    "mcp": "MCP servers are not called from here",
    "namespace": "give its functions as single tools",
    "programmatic_tool_calling": "no code is run here",
    "shell": "there is no shell",
    "tool_search": "give all tools with the request",
    "web_search": "there is no web search",
    "web_search_preview": "there is no web search",
}
"""OpenAI's own tools, by type, and why each is refused."""

FOREIGN_ITEMS = {
    "additional_tools": "give all tools in 'tools'",
    "agent_message": "there are no other agents here",
    "apply_patch_call": HOSTED_TOOLS["apply_patch"],
    "apply_patch_call_output": HOSTED_TOOLS["apply_patch"],
    "code_interpreter_call": HOSTED_TOOLS["code_interpreter"],
    "compaction": NO_COMPACTION,
    "compaction_trigger": NO_COMPACTION,
    "computer_call": HOSTED_TOOLS["computer"],
    "computer_call_output": HOSTED_TOOLS["computer"],
    "configuration_update": "send what is to be used with the request",
    "file_search_call": HOSTED_TOOLS["file_search"],
    "image_generation_call": HOSTED_TOOLS["image_generation"],
    "local_shell_call": HOSTED_TOOLS["local_shell"],
    "local_shell_call_output": HOSTED_TOOLS["local_shell"],
    "mcp_approval_request": HOSTED_TOOLS["mcp"],
    "mcp_approval_response": HOSTED_TOOLS["mcp"],
    "mcp_call": HOSTED_TOOLS["mcp"],
    "mcp_list_tools": HOSTED_TOOLS["mcp"],
    "program": HOSTED_TOOLS["programmatic_tool_calling"],
    "program_output": HOSTED_TOOLS["programmatic_tool_calling"],
    "shell_call": HOSTED_TOOLS["shell"],
    "shell_call_output": HOSTED_TOOLS["shell"],
    "tool_search_call": HOSTED_TOOLS["tool_search"],
    "tool_search_output": HOSTED_TOOLS["tool_search"],
    "web_search_call": HOSTED_TOOLS["web_search"],
}
"""Items of an input that only hosted tools leave behind, by type, and why each is refused."""

LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"
FOREIGN_INCLUDES = {
    "code_interpreter_call.outputs": HOSTED_TOOLS["code_interpreter"],
    "computer_call_output.output.image_url": HOSTED_TOOLS["computer"],
    "file_search_call.results": HOSTED_TOOLS["file_search"],
    "message.input_image.image_url": "models here read text",
    "web_search_call.action.sources": HOSTED_TOOLS["web_search"],
    "web_search_call.results": HOSTED_TOOLS["web_search"],
}
"""What else OpenAI can add to an answer, and why each is refused."""
