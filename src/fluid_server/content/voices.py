"""Voices by name: OpenAI's names on a model's own voices, and the language that a voice speaks.

Kokoro names its voices by what they are: ``af_heart`` is American and female, ``bm_fable`` British and male.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from fluid_server.content.language import CODES, NAMES
from fluid_server.errors import InvalidRequest

# The languages of Kokoro's voices by the first letter of their names.
LANGUAGES = MappingProxyType(
    {
        "a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-br", "z": "zh",
    }
)  # fmt: skip
# OpenAI's voices, by whether they sound like a woman's or a man's.
OPENAI = MappingProxyType(
    {
        "f": ("alloy", "coral", "marin", "nova", "sage", "shimmer"),
        "m": ("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"),
    }
)
BEST = "af_heart"  # the voice of Kokoro's that its makers grade highest
SHOWN = 60  # voices that a message lists
_KOKORO = re.compile(r"([abefhijpz])([fm])_(\w+)")


def language_of(voice: str) -> str | None:
    """The language that a voice's name tells, such as en-gb; None where it tells none."""
    named = _KOKORO.fullmatch(voice)
    return LANGUAGES[named[1]] if named else None


def choose_voice(asked: str | None, voices: Sequence[str]) -> str:
    """The model's voice for a name that a client sent; the model's best for None. Errors: InvalidRequest."""
    if asked is None:
        return BEST if BEST in voices else voices[0]
    if asked in voices:
        return asked
    by_name = {voice.lower(): voice for voice in reversed(voices)}
    name = asked.strip().lower()
    found = by_name.get(name) or _stand_in(name, voices)
    if found is None:
        shown = ", ".join(voices[:SHOWN]) + (", …" if len(voices) > SHOWN else "")
        raise InvalidRequest(
            f"This model has no voice '{asked[:40]}'. It has: {shown}. OpenAI's names, such as alloy, work too.",
            param="voice",
        )
    return found


def _stand_in(name: str, voices: Sequence[str]) -> str | None:
    """The voice that answers to one of OpenAI's names; None for any other name.

    It is the English one that is called so, else one of the same sex, another for each name as far as there are any.
    """
    sex = next((sex for sex, names in OPENAI.items() if name in names), None)
    if sex is None:
        return None
    kinds = {voice: named for voice in voices if (named := _KOKORO.fullmatch(voice))}
    english = [voice for voice, named in kinds.items() if named[1] in "ab"]
    namesake = [voice for voice in english if kinds[voice][3] == name]
    alike = [voice for voice in english if kinds[voice][2] == sex]
    fitting = namesake or alike or english or list(voices)
    return fitting[OPENAI[sex].index(name) % len(fitting)]


def choose_language(asked: str | None, voice: str, spoken: Sequence[str]) -> str:
    """What is to be spoken, one of ``spoken``: what the client wants, else what the voice speaks.

    ``fr``, ``fr-CA`` and ``French`` are all fr-fr; ``en`` is the voice's own English. Errors: InvalidRequest.
    """
    own = language_of(voice) or spoken[0]
    wanted = own if asked is None else _fitting(asked, own, spoken)
    if wanted in spoken:
        return wanted
    known = ", ".join(spoken)
    if asked is None:
        raise InvalidRequest(
            f"The voice '{voice}' is made for the language '{own}', which this engine cannot pronounce. Choose another "
            f"voice, or give 'language': one of {known}.",
            param="voice",
        )
    raise InvalidRequest(f"This model cannot speak '{asked[:40]}'. It speaks: {known}.", param="language")


def _fitting(asked: str, own: str, spoken: Sequence[str]) -> str:
    name = asked.strip().lower().replace("_", "-")
    if name in spoken:
        return name
    code = CODES.get(name) or name.split("-")[0]
    if code not in NAMES:
        return name
    related = [language for language in spoken if language.split("-")[0] == code]
    return own if own in related else next(iter(related), name)
