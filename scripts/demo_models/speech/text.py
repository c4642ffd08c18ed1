"""The sentences that the demo speech model knows: English, and a little French with its translation.

Every generator draws from a ``random.Random`` in a fixed order: one seed, one set of sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

NUMBERS = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty")
FRENCH_NUMBERS = ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix")
CITIES = ("Paris", "London", "Berlin", "Rome", "Madrid", "Tokyo", "Boston", "Chicago")
COUNTRIES = ("France", "Germany", "Italy", "Spain", "Japan", "China", "India", "Canada", "Brazil", "Egypt")
NAMES = ("Alice", "Bob", "Carol", "David", "Emma", "Frank", "Grace", "Henry")
ROOMS = ("kitchen", "bedroom", "garden", "office")
DEVICES = ("light", "fan", "radio", "heater")
FIXED = (
    "What time is it?",
    "What day is it?",
    "Who are you?",
    "What is your name?",
    "Hello world.",
    "Good morning.",
    "Good night.",
    "Thank you very much.",
    "Stop the music.",
    "Play the music.",
)
FRENCH_FIXED = (
    ("Bonjour le monde.", "Hello world."),
    ("Quelle heure est-il?", "What time is it?"),
    ("Allume la lumière.", "Turn on the light."),
    ("Ouvre la porte.", "Open the door."),
    ("Ouvre la fenêtre.", "Open the window."),
    ("Bonne nuit.", "Good night."),
    ("Merci beaucoup.", "Thank you very much."),
    ("Où est le chat?", "Where is the cat?"),
    ("Le chien est rouge.", "The dog is red."),
    ("J'aime la musique.", "I love music."),
)


def in_words(number: int) -> str:
    """English for 0 to 59."""
    if number < 20:
        return NUMBERS[number]
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + (f" {NUMBERS[ones]}" if ones else "")


def number_between(rng: Random, low: int, high: int) -> str:
    return in_words(rng.randint(low, high))


def digits(rng: Random) -> str:
    spoken = [NUMBERS[rng.randrange(10)] for _ in range(rng.randint(1, 6))]
    return " ".join(spoken).capitalize() + "."


def switch(rng: Random) -> str:
    return f"Turn {rng.choice(['on', 'off'])} the {rng.choice(ROOMS)} {rng.choice(DEVICES)}."


def timer(rng: Random) -> str:
    return f"Set a timer for {number_between(rng, 1, 59)} minutes."


def fixed(rng: Random) -> str:
    return rng.choice(FIXED)


def weather(rng: Random) -> str:
    return f"What is the weather in {rng.choice(CITIES)}?"


def capital(rng: Random) -> str:
    return f"What is the capital of {rng.choice(COUNTRIES)}?"


def call(rng: Random) -> str:
    return f"Call {rng.choice(NAMES)}."


def count(rng: Random) -> str:
    return f"Count from {number_between(rng, 0, 20)} to {number_between(rng, 21, 59)}."


def calculation(rng: Random) -> str:
    first = number_between(rng, 0, 20)
    operation = rng.choice(["plus", "minus", "times"])
    return f"What is {first} {operation} {number_between(rng, 0, 20)}?"


def open_or_close(rng: Random) -> str:
    return f"{rng.choice(['Open', 'Close'])} the {rng.choice(['door', 'window'])}."


def story(rng: Random) -> str:
    return f"Tell me a story about a {rng.choice(['cat', 'dog', 'robot', 'fox'])}."


def name(rng: Random) -> str:
    return f"My name is {rng.choice(NAMES)}."


def animal(rng: Random) -> str:
    who = rng.choice(["cat", "dog", "fox", "robot"])
    return f"The {who} is {rng.choice(['red', 'blue', 'green', 'happy', 'small', 'big'])}."


ENGLISH: tuple[Callable[[Random], str], ...] = (
    *(digits, digits, digits, switch, timer, fixed, weather, capital),
    *(call, count, calculation, open_or_close, story, name, animal),
)


def english(rng: Random) -> str:
    return rng.choice(ENGLISH)(rng)


def french(rng: Random) -> tuple[str, str]:
    """A French sentence and its English translation."""
    if rng.random() < 0.5:
        numbers = [rng.randrange(11) for _ in range(rng.randint(1, 5))]
        spoken = " ".join(FRENCH_NUMBERS[i] for i in numbers)
        translated = " ".join(NUMBERS[i] for i in numbers)
        return spoken.capitalize() + ".", translated.capitalize() + "."
    return rng.choice(FRENCH_FIXED)
