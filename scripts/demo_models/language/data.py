"""Synthetic dialogues that a model of a few million parameters can really learn.

Every generator takes a ``random.Random`` and draws from it in a fixed order: one seed, one data set.
So a change of the order of draws, or of the entries in ``facts.py``, is a change of the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from exchanges import Exchange, exchange, phrase, question, repeat, some_words, story
from facts import CITIES, NAMES
from jinja2 import Environment

Message = dict[str, Any]
Tool = dict[str, Any]

TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8").rstrip("\n")


class Dialogue(NamedTuple):
    messages: list[Message]
    tools: list[Tool] | None = None


def to_json(value: object, **_options: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_environment = Environment()
_environment.filters["tojson"] = to_json
_template = _environment.from_string(TEMPLATE)


def render(messages: list[Message], tools: list[Tool] | None, *, ask: bool = False) -> str:
    """The prompt text; with ``ask`` it ends where the assistant's answer begins."""
    complete = [{**message, "tool_calls": message.get("tool_calls")} for message in messages]
    return _template.render(messages=complete, tools=tools, add_generation_prompt=ask)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def turns(pair: Exchange) -> list[Message]:
    asked, answer = pair
    return [user(asked), assistant(answer)]


# Tool calls.


class ToolUse(NamedTuple):
    question: str
    arguments: dict[str, Any]
    result: str
    answer: str


def get_weather(rng: Random, city: str) -> ToolUse:
    phrasings = (
        "What is the weather in {}?",
        "How is the weather in {}?",
        "What's the weather like in {} today?",
        "Is it raining in {}?",
        "weather in {}",
    )
    asked = phrase(rng, phrasings, city)
    degrees, sky = rng.randint(-5, 35), rng.choice(["sunny", "rainy", "cloudy", "snowy"])
    as_json = json.dumps({"city": city, "temperature": degrees, "sky": sky})
    result = rng.choice([as_json, f"{degrees} degrees, {sky}"])
    return ToolUse(asked, {"city": city}, result, f"The weather in {city} is {sky} with {degrees} degrees.")


def get_time(rng: Random, city: str) -> ToolUse:
    phrasings = ("What time is it in {}?", "Tell me the time in {}.", "What is the current time in {}?")
    asked = phrase(rng, phrasings, city)
    time = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    result = rng.choice([json.dumps({"time": time}), time])
    return ToolUse(asked, {"city": city}, result, f"It is {time} in {city}.")


def add(rng: Random, _city: str) -> ToolUse:
    a, b = rng.randint(0, 999), rng.randint(0, 999)
    asked = phrase(rng, ("What is {} + {}?", "Add {} and {}.", "Use the tool to add {} and {}."), a, b)
    result = rng.choice([str(a + b), json.dumps({"result": a + b})])
    return ToolUse(asked, {"a": a, "b": b}, result, f"The result is {a + b}.")


def set_timer(rng: Random, _city: str) -> ToolUse:
    minutes = rng.randint(1, 90)
    phrasings = ("Set a timer for {} minutes.", "Remind me in {} minutes.", "Start a {} minute timer.")
    asked = phrase(rng, phrasings, minutes)
    result = rng.choice(["ok", json.dumps({"status": "ok"})])
    return ToolUse(asked, {"minutes": minutes}, result, f"The timer is set for {minutes} minutes.")


def send_message(rng: Random, _city: str) -> ToolUse:
    name, text = rng.choice(NAMES), some_words(rng, 2, 6)
    asked = f"Send a message to {name}: {text}"
    return ToolUse(asked, {"to": name, "text": text}, "sent", f"I sent the message to {name}.")


def search(rng: Random, _city: str) -> ToolUse:
    query = some_words(rng, 1, 4)
    asked = phrase(rng, ("Search for {}", "Search the web for {}", "Find {} on the web"), query)
    found = some_words(rng, 3, 8)
    return ToolUse(asked, {"query": query}, found, f"I found this: {found}")


def generate_image(rng: Random, _city: str) -> ToolUse:
    prompt = some_words(rng, 2, 6)
    asked = phrase(rng, ("Draw {}", "Draw a picture of {}", "Make an image of {}"), prompt)
    return ToolUse(asked, {"prompt": prompt}, "done", "Here is your picture.")


TOOL_USES: dict[str, Callable[[Random, str], ToolUse]] = {
    use.__name__: use for use in (get_weather, get_time, add, set_timer, send_message, search, generate_image)
}


def tool_schema(name: str, description: str, properties: dict[str, Any]) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


_CITY = {"type": "string", "description": "The city."}
_MINUTES = {"type": "integer", "description": "How many minutes."}
_STRING, _NUMBER = {"type": "string"}, {"type": "number"}
TOOLS = {
    tool["function"]["name"]: tool
    for tool in (
        tool_schema("get_weather", "Get the current weather in a city.", {"city": _CITY}),
        tool_schema("get_time", "Get the current time in a city.", {"city": _CITY}),
        tool_schema("add", "Add two numbers.", {"a": _NUMBER, "b": _NUMBER}),
        tool_schema("set_timer", "Set a timer.", {"minutes": _MINUTES}),
        tool_schema("send_message", "Send a message to a person.", {"to": _STRING, "text": _STRING}),
        tool_schema("search", "Search the web.", {"query": _STRING}),
        tool_schema("generate_image", "Draw a picture from a prompt.", {"prompt": _STRING}),
    )
}


def tool_dialogue(rng: Random) -> Dialogue:
    chosen = rng.choice(list(TOOLS))
    # Not a set: its order would follow PYTHONHASHSEED, and the seed would no longer fix the data.
    offered = list(dict.fromkeys([chosen, *rng.sample(list(TOOLS), rng.randint(0, 3))]))
    rng.shuffle(offered)
    use = TOOL_USES[chosen](rng, rng.choice(CITIES))
    call = {"function": {"name": chosen, "arguments": json.dumps(use.arguments)}}
    messages = [user(use.question), {**assistant(""), "tool_calls": [call]}]
    if rng.random() < 0.6:
        messages += [{"role": "tool", "content": use.result}, assistant(use.answer)]
    if rng.random() < 0.2:  # a question that needs no tool, before the call or in its place
        plain = turns(question(rng))
        messages = plain + messages if rng.random() < 0.5 else plain
    return Dialogue(messages, [TOOLS[name] for name in offered])


# Dialogues of several turns.


def plain_dialogue(rng: Random) -> Dialogue:
    number = 1 if rng.random() < 0.65 else rng.randint(2, 4)
    return Dialogue([message for _ in range(number) for message in turns(exchange(rng))])


def question_or_repeat(rng: Random, questions: float) -> Exchange:
    return question(rng) if rng.random() < questions else repeat(rng)


def memory_dialogue(rng: Random) -> Dialogue:
    """The user says a name and perhaps a favourite colour, and asks for them later."""
    name = rng.choice(NAMES)
    phrasings = ("My name is {}.", "I am {}.", "Hi, my name is {}.", "Hello, I'm {}.", "Call me {}.")
    messages = turns((phrase(rng, phrasings, name), f"Nice to meet you, {name}!"))
    favorite = None
    for _ in range(rng.randint(0, 2)):
        if rng.random() < 0.4:
            favorite = rng.choice(["red", "blue", "green", "yellow", "silver", "golden"])
            said = f"My favorite color is {favorite}."
            messages += turns((said, f"I will remember that you like {favorite}."))
        else:
            messages += turns(question_or_repeat(rng, 0.7))
    asked = rng.choice(["What is my name?", "Do you remember my name?", "Who am I?", "What's my name?"])
    messages += turns((asked, f"Your name is {name}."))
    if favorite and rng.random() < 0.7:
        messages += turns(("What is my favorite color?", f"Your favorite color is {favorite}."))
    return Dialogue(messages)


def uppercase(rng: Random, given: Exchange) -> tuple[str, Exchange]:
    asked, answer = given
    prompts = ("Answer in uppercase.", "Always answer in uppercase.", "Reply in capital letters.")
    return rng.choice(prompts), (asked, answer.upper())


def pirate(rng: Random, given: Exchange) -> tuple[str, Exchange]:
    asked, answer = given
    prompts = ("You are a pirate.", "Talk like a pirate.", "You are a pirate. Answer every question.")
    return rng.choice(prompts), (asked, f"Arr! {answer}")


def named(rng: Random, _given: Exchange) -> tuple[str, Exchange]:
    name = rng.choice(NAMES)
    prompt = phrase(rng, ("Your name is {}.", "You are {}."), name)
    return prompt, (rng.choice(["Who are you?", "What is your name?"]), f"I am {name}.")


def helpful(rng: Random, given: Exchange) -> tuple[str, Exchange]:
    prompts = ("You are a helpful assistant.", "You are helpful.", "Be helpful and short.")
    return rng.choice(prompts), given


def fixed_answer(rng: Random, given: Exchange) -> tuple[str, Exchange]:
    answer = some_words(rng, 1, 3)
    return f"Always say {answer}.", (given[0], answer)


def system_dialogue(rng: Random) -> Dialogue:
    """The system prompt changes the answer."""
    given = question_or_repeat(rng, 0.75)
    prompt, changed = rng.choice((uppercase, pirate, named, helpful, fixed_answer))(rng, given)
    return Dialogue([{"role": "system", "content": prompt}, *turns(changed)])


DIALOGUES: tuple[tuple[float, Callable[[Random], Dialogue]], ...] = (
    (0.45, plain_dialogue),
    (0.60, memory_dialogue),
    (0.74, system_dialogue),
    (1.00, tool_dialogue),
)


def sample(rng: Random) -> Dialogue | str:
    """One training document: a dialogue or, now and then, the raw text of a story."""
    share = rng.random()
    if share < 0.05:
        return story(rng)
    return next(make(rng) for bound, make in DIALOGUES if share < bound)


def sample_text(rng: Random) -> str:
    drawn = sample(rng)
    return drawn if isinstance(drawn, str) else render(drawn.messages, drawn.tools)
