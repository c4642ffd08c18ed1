"""Which voice is meant, and what it speaks."""

from __future__ import annotations

import pytest

from fluid_server.content.voices import OPENAI, choose_language, choose_voice, language_of
from fluid_server.errors import InvalidRequest

KOKORO = ("af_alloy", "af_heart", "af_nova", "am_adam", "am_echo", "bf_emma", "bm_fable", "ff_siwis", "jf_alpha")
SPOKEN = ("en-us", "en-gb", "es", "fr-fr", "pt-br")


@pytest.mark.parametrize(
    ("asked", "voice"),
    [
        ("bf_emma", "bf_emma"),
        (" BF_Emma ", "bf_emma"),
        (None, "af_heart"),
        ("alloy", "af_alloy"),
        ("Echo", "am_echo"),
        ("fable", "bm_fable"),
    ],
)
def test_a_voice_by_its_name(asked: str | None, voice: str) -> None:
    assert choose_voice(asked, KOKORO) == voice


@pytest.mark.parametrize("sex", OPENAI)
def test_every_name_of_openai_has_an_english_voice_of_its_sex(sex: str) -> None:
    chosen = {choose_voice(name, KOKORO) for name in OPENAI[sex]}
    assert len(chosen) > 1
    assert {voice[1] for voice in chosen} == {sex}
    assert {voice[0] for voice in chosen} <= set("ab")


def test_a_model_without_such_voices_answers_to_openai_s_names_with_what_it_has() -> None:
    assert {choose_voice(name, ("default",)) for name in (*OPENAI["f"], *OPENAI["m"])} == {"default"}
    assert choose_voice("onyx", ("ff_siwis", "onyx")) == "onyx"


def test_an_unknown_voice_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidRequest, match=r"'bob'.*af_alloy, af_heart") as refused:
        choose_voice("bob", KOKORO)
    assert refused.value.param == "voice"


@pytest.mark.parametrize(
    ("voice", "language"), [("af_heart", "en-us"), ("bm_fable", "en-gb"), ("ff_siwis", "fr-fr"), ("default", None)]
)
def test_a_name_tells_the_language(voice: str, language: str | None) -> None:
    assert language_of(voice) == language


@pytest.mark.parametrize(
    ("asked", "voice", "language"),
    [
        (None, "bf_emma", "en-gb"),
        (None, "default", "en-us"),
        ("en", "bf_emma", "en-gb"),
        ("en", "ff_siwis", "en-us"),
        ("EN_us", "bf_emma", "en-us"),
        ("French", "af_heart", "fr-fr"),
        ("fr-CA", "af_heart", "fr-fr"),
        ("pt", "af_heart", "pt-br"),
        ("es", "jf_alpha", "es"),
    ],
)
def test_a_language_by_code_or_name_else_the_voice_s_own(asked: str | None, voice: str, language: str) -> None:
    assert choose_language(asked, voice, SPOKEN) == language


@pytest.mark.parametrize(("asked", "param"), [("de", "language"), ("klingon", "language"), (None, "voice")])
def test_a_language_that_cannot_be_spoken_is_refused(asked: str | None, param: str) -> None:
    with pytest.raises(InvalidRequest, match="en-us, en-gb") as refused:
        choose_language(asked, "jf_alpha", SPOKEN)
    assert refused.value.param == param
