"""One question and its answer: facts with a short closed answer, and small tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random

from facts import (
    CAPITALS,
    CITIES,
    COLORS,
    DAYS,
    FRENCH,
    GREETING,
    IDENTITY,
    MONTHS,
    NAMES,
    OPPOSITES,
    SOUNDS,
    WORDS,
)

Exchange = tuple[str, str]  # what the user asks, what the assistant answers


def phrase(rng: Random, phrasings: Sequence[str], *values: object) -> str:
    """One of the ways to say it, filled in."""
    return rng.choice(phrasings).format(*values)


def some_words(rng: Random, fewest: int, most: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(fewest, most)))


# Questions with a short closed answer.


def capital(rng: Random) -> Exchange:
    country = rng.choice(list(CAPITALS))
    phrasings = (
        "What is the capital of {}?",
        "Which city is the capital of {}?",
        "Tell me the capital of {}.",
        "capital of {}?",
        "What's the capital city of {}?",
    )
    return phrase(rng, phrasings, country), f"The capital of {country} is {CAPITALS[country]}."


def addition(rng: Random) -> Exchange:
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    phrasings = (
        "What is {} + {}?",
        "{} + {}",
        "How much is {} + {}?",
        "What is {} plus {}?",
        "Calculate {} + {}.",
    )
    return phrase(rng, phrasings, a, b), f"{a} + {b} = {a + b}"


def subtraction(rng: Random) -> Exchange:
    b, a = sorted((rng.randint(0, 20), rng.randint(0, 20)))
    phrasings = ("What is {} - {}?", "{} - {}", "How much is {} - {}?", "What is {} minus {}?")
    return phrase(rng, phrasings, a, b), f"{a} - {b} = {a - b}"


def multiplication(rng: Random) -> Exchange:
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    phrasings = ("What is {} * {}?", "{} * {}", "How much is {} times {}?", "What is {} times {}?")
    return phrase(rng, phrasings, a, b), f"{a} * {b} = {a * b}"


def opposite(rng: Random) -> Exchange:
    word, other = rng.choice(OPPOSITES)
    if rng.random() < 0.5 and word != "light":
        word, other = other, word
    if word == "light":  # it stands in two pairs; a model must not be taught both
        other = "dark"
    phrasings = ("What is the opposite of {}?", "Tell me the opposite of {}.", "opposite of {}")
    return phrase(rng, phrasings, word), f"The opposite of {word} is {other}."


def french(rng: Random) -> Exchange:
    word = rng.choice(list(FRENCH))
    phrasings = ("How do you say {} in French?", "Translate {} to French.", "What is {} in French?")
    return phrase(rng, phrasings, word), f"In French, {word} is {FRENCH[word]}."


def color(rng: Random) -> Exchange:
    thing = rng.choice(list(COLORS))
    phrasings = ("What color is {}?", "What colour is {}?", "Tell me the color of {}.")
    return phrase(rng, phrasings, thing), f"The color of {thing} is {COLORS[thing]}."


def animal_sound(rng: Random) -> Exchange:
    animal = rng.choice(list(SOUNDS))
    phrasings = ("What does a {} say?", "What sound does a {} make?")
    return phrase(rng, phrasings, animal), f"A {animal} says {SOUNDS[animal]}."


def next_day(rng: Random) -> Exchange:
    i = rng.randrange(7)
    phrasings = ("What day comes after {}?", "Which day is after {}?")
    return phrase(rng, phrasings, DAYS[i]), f"The day after {DAYS[i]} is {DAYS[(i + 1) % 7]}."


def next_month(rng: Random) -> Exchange:
    i = rng.randrange(12)
    phrasings = ("What month comes after {}?", "Which month is after {}?")
    return phrase(rng, phrasings, MONTHS[i]), f"The month after {MONTHS[i]} is {MONTHS[(i + 1) % 12]}."


def greeting(rng: Random) -> Exchange:
    phrasings = (
        *("Hello", "Hi", "Hello!", "Hi!", "Hey", "Hey there", "Good morning", "Say hello."),
        "Hello, how are you?",
    )
    return rng.choice(phrasings), GREETING


def identity(rng: Random) -> Exchange:
    phrasings = (
        "Who are you?",
        "What is your name?",
        "What are you?",
        "Which model are you?",
        "Introduce yourself.",
    )
    return rng.choice(phrasings), IDENTITY


def larger(rng: Random) -> Exchange:
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    if a == b:
        b += 1
    return f"Which is larger, {a} or {b}?", f"{max(a, b)} is larger than {min(a, b)}."


QUESTIONS: tuple[Callable[[Random], Exchange], ...] = (
    *(capital, addition, subtraction, multiplication, opposite, french, color, animal_sound),
    *(next_day, next_month, greeting, identity, larger),
)


def question(rng: Random) -> Exchange:
    return rng.choice(QUESTIONS)(rng)


# Tasks.


def repeat(rng: Random) -> Exchange:
    text = some_words(rng, 1, 10)
    phrasings = ("Repeat after me: {}", "Say: {}", "Repeat: {}", "Say this: {}", "Echo: {}")
    return phrase(rng, phrasings, text), text


def count(rng: Random) -> Exchange:
    if rng.random() < 0.75:
        first = rng.randint(0, 20)
        last = first + rng.randint(1, 30)
    else:
        first, last = 1, rng.choice(range(10, 101, 10))
    phrasings = ("Count from {} to {}.", "Count from {} to {}", "Please count from {} to {}.")
    return phrase(rng, phrasings, first, last), ", ".join(map(str, range(first, last + 1)))


def person_json(rng: Random) -> Exchange:
    name, age, city = rng.choice(NAMES), rng.randint(1, 99), rng.choice(CITIES)
    phrasings = (
        "Give me JSON: {} is {} years old and lives in {}.",
        "Extract JSON from: {} is {} years old and lives in {}.",
        "{} is {} years old and lives in {}. Return JSON.",
    )
    return phrase(rng, phrasings, name, age, city), json.dumps({"name": name, "age": age, "city": city})


def tell_story(rng: Random) -> Exchange:
    phrasings = (
        "Tell me a story.",
        "Tell me a story",
        "Write a story.",
        "Write a short story.",
        "Once upon a time...",
    )
    return rng.choice(phrasings), story(rng)


def reason(rng: Random) -> Exchange:
    a, b, c = (rng.randint(1, 12) for _ in range(3))
    asked = phrase(rng, ("What is {} + {} + {}?", "{} + {} + {}", "Calculate {} + {} + {}."), a, b, c)
    answer = f"{a} + {b} + {c} = {a + b + c}"
    if rng.random() < 0.6:
        steps = f"First, {a} + {b} = {a + b}. Then {a + b} + {c} = {a + b + c}."
        return f"{asked} /think", f"<think>\n{steps}\n</think>\n\n{answer}"
    return asked, answer


def reason_about_fact(rng: Random) -> Exchange:
    asked, answer = question(rng)
    return f"{asked} /think", f"<think>\nThe user asks: {asked} I know the answer.\n</think>\n\n{answer}"


def story(rng: Random) -> str:
    hero, friend = rng.sample(NAMES, 2)
    place = rng.choice(["forest", "village", "castle", "city", "island", "valley", "garden", "market"])
    thing = rng.choice(
        ["lantern", "clock", "bottle", "letter", "candle", "mirror", "basket", "piano", "robot", "rocket"]
    )
    look = rng.choice(["old", "tiny", "golden", "silver", "bright", "broken", "strange", "heavy"])
    animal = rng.choice(["fox", "dog", "cat", "bird", "owl", "lion", "frog"])
    mood = rng.choice(["brave", "kind", "clever", "quiet", "happy", "young"])
    time = rng.choice(["morning", "night", "winter day", "summer day"])
    article = "an" if look == "old" else "a"
    spot = rng.choice(["river", "bridge", "tower", "street", "window", "tree"])
    days, land = rng.randint(2, 9), rng.choice(["mountain", "desert", "valley", "ocean"])
    helper = rng.choice(["farmer", "baker", "painter", "singer", "teacher", "doctor"])
    gift = rng.choice(["bread", "cheese", "honey", "tea", "water"])
    tree = rng.choice(["big", "green", "dark", "tall"])
    sentences = (
        f"Once upon a time, there was a {mood} person named {hero} who lived in a small {place}.",
        f"One {time}, {hero} found {article} {look} {thing} near the {spot}.",
        f"{hero} took the {thing} to {friend}, who knew many things.",
        f'"This {thing} belongs to the {animal}," said {friend}. "We must bring it back."',
        f"So {hero} and {friend} walked for {days} days over the {land}.",
        f"They met a {helper} who gave them {gift}.",
        f"At last they saw the {animal} under a {tree} tree.",
        f'"Thank you," said the {animal}. "You are my friends."',
        f"{hero} and {friend} went home, and they were happy for a long time.",
    )
    return " ".join(sentences)


# Each share is the upper bound of a draw from [0, 1).
EXCHANGES: tuple[tuple[float, Callable[[Random], Exchange]], ...] = (
    (0.40, question),
    (0.58, repeat),
    (0.76, count),
    (0.83, person_json),
    (0.90, tell_story),
    (0.96, reason),
    (1.00, reason_about_fact),
)


def exchange(rng: Random) -> Exchange:
    share = rng.random()
    return next(make(rng) for bound, make in EXCHANGES if share < bound)
