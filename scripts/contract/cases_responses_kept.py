"""The Responses API: what is kept, what goes on from it, and requests that cannot be right."""

from __future__ import annotations

from scripts.contract.asking import CAPITAL, STORY, Group, get
from scripts.contract.case import Case
from scripts.contract.cases_responses import TOOLS, respond
from scripts.contract.cases_stored import SO_LONG, delete, equals, post, talk, types
from scripts.contract.checks import all_of, same, says, upper
from scripts.contract.checks_responses import repeats, replayed, status, told
from scripts.contract.checks_stream import tells

STATE = Group("responses that are kept", "responses")
WRONG = Group("responses, wrong values", "responses")
LONG = "apple " * 200_000
PATH = "/responses/$0.id"
MY_NAME = "Hi, my name is Tina."
PENDING = ("queued", "in_progress", "completed")
WHO = "What is my name?"

KEPT: tuple[Case, ...] = (
    STATE.case(
        "a response is kept", "it is found by its id", respond(), get(PATH), check=all_of(same, status("completed")),
        about="store",
    ),
    STATE.case(
        "a response's input", "its items are listed", respond(), get(f"{PATH}/input_items"),
        check=tells("data.0.content.0.text", equals(CAPITAL)), about="store input",
    ),
    STATE.case("a response is deleted", "it says nothing, or that it is", respond(), delete(PATH), check=lambda _: ""),
    STATE.case(
        "previous_response_id", "the earlier turn is known", respond(MY_NAME),
        respond(WHO, previous_response_id="$0.id"),
        check=all_of(says("Tina"), lambda replies: repeats(previous_response_id=replies[0].body["id"])(replies)),
        able=True, about="previous_response_id",
    ),
    STATE.case(
        "previous_response_id × stream", "in a story", respond(MY_NAME),
        respond(WHO, previous_response_id="$0.id", stream=True), check=all_of(told, says("Tina")), able=True,
        about="previous_response_id",
    ),
    STATE.case(
        "previous_response_id × instructions", "earlier instructions are not carried over",
        respond(MY_NAME, instructions="Answer in uppercase."), respond(WHO, previous_response_id="$0.id"),
        check=lambda replies: "they are" if not upper(replies) else "", able=True, about="previous_response_id",
    ),
    STATE.case(
        "conversation", "the conversation is known and goes on", talk({"role": "user", "content": MY_NAME}),
        respond(WHO, conversation="$0.id"), get("/conversations/$0.id/items?order=asc"),
        check=tells("data", types("message", "message", "message")), about="conversation",
    ),
    STATE.case(
        "conversation × memory", "what was said in it is known",
        talk({"role": "user", "content": MY_NAME}, {"role": "assistant", "content": "Nice to meet you, Tina!"}),
        respond(WHO, conversation={"id": "$0.id"}), check=says("Tina"), able=True, about="conversation",
    ),
    STATE.case(
        "store of true", "it is kept", respond(store=True), get(PATH), check=same, about="store",
    ),
    STATE.case(
        "background", "it goes on by itself", respond(background=True),
        check=all_of(repeats(background=True), tells("status", lambda one: one in PENDING)),
        about="background",
    ),
    STATE.case(
        "background × stream × again", "its story is told again, behind an event",
        respond(background=True, stream=True), get("/responses/$0.events.0.response.id?stream=true&starting_after=1"),
        check=replayed(1), about="background stream",
    ),
    STATE.case(
        "background × stream", "its story is watched", respond(background=True, stream=True),
        check=told, about="background stream",
    ),
    STATE.case(
        "background × cancel", "it ends", respond(STORY, background=True, max_output_tokens=400),
        post(f"{PATH}/cancel"), check=tells("status", lambda one: one in ("cancelled", "completed")),
        about="background",
    ),
    STATE.wrong("a response that is deleted", respond(), delete(PATH), get(PATH), status=404),
    STATE.wrong("a response that is not kept", respond(store=False), get(PATH), status=404),
    STATE.wrong("a response that never was", get("/responses/resp_nothing"), status=404),
    STATE.wrong("cancel × a response in the foreground", respond(), post(f"{PATH}/cancel")),
    WRONG.wrong(
        "previous_response_id of nothing", respond(previous_response_id="resp_nothing"), about="previous_response_id",
        status=400,
    ),
    WRONG.wrong("conversation of nothing", respond(conversation="conv_nothing"), status=404),
    WRONG.wrong(
        "previous_response_id × conversation", respond(previous_response_id="resp_a", conversation="conv_a"),
        about="previous_response_id conversation",
    ),
    WRONG.wrong("background × store of false", respond(background=True, store=False), about="background store"),
    WRONG.wrong("a response without an input", respond(...), about="input"),
    WRONG.wrong("a response to a number", respond(5), about="input"),
    WRONG.wrong("a response to an unknown item", respond([{"type": "smell"}]), about="input"),
    WRONG.wrong(
        "a response beyond the context", respond(LONG, truncation="disabled"), about="input",
        code="context_length_exceeded",
    ),
    WRONG.wrong("a response × an unknown field", respond(max_tokens=5), about="max_tokens"),
    WRONG.wrong(
        "a response of a model that is not there", respond(model="no-such-model"), about="model", status=404,
        code="model_not_found",
    ),
    WRONG.wrong("responses: temperature above 2", respond(temperature=3), about="temperature"),
    WRONG.wrong("responses: max_output_tokens of 0", respond(max_output_tokens=0), about="max_output_tokens"),
    WRONG.wrong("responses: metadata of 17 labels", respond(metadata=SO_LONG), about="metadata"),
    WRONG.wrong("responses: top_logprobs of 21", respond(top_logprobs=21), about="top_logprobs"),
    WRONG.wrong("responses: include of an unknown name", respond(include=["everything"]), about="include"),
    WRONG.wrong("responses: truncation of an unknown word", respond(truncation="some"), about="truncation"),
    WRONG.wrong(
        "responses: tool_choice of a tool that is not there",
        respond(tools=TOOLS, tool_choice={"type": "function", "name": "get_rich"}), about="tool_choice",
    ),
    WRONG.wrong(
        "responses: a tool as chats write it", respond(tools=[{"type": "function", "function": {"name": "a"}}]),
        about="tools",
    ),
    WRONG.wrong(
        "responses: response_format", respond(response_format={"type": "json_object"}), about="response_format",
    ),
    WRONG.wrong("responses: text.format of an unknown type", respond(text={"format": {"type": "xml"}}), about="text"),
    WRONG.wrong(
        "responses: stream_options without stream", respond(stream_options={"include_obfuscation": False}),
        about="stream_options",
    ),
)  # fmt: skip
