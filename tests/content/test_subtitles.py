"""Segments as SubRip and WebVTT files."""

from __future__ import annotations

import pytest

from fluid_server.content.language import NAMES, language_code, language_name
from fluid_server.content.subtitles import srt, vtt
from fluid_server.types import Segment

SAID = [Segment(start=0.6, end=1.8, text=" Hello world."), Segment(start=3599.9996, end=3725.5, text=" Set a timer.")]


def test_subrip() -> None:
    assert srt(SAID) == (
        "1\n00:00:00,600 --> 00:00:01,800\nHello world.\n\n2\n01:00:00,000 --> 01:02:05,500\nSet a timer.\n"
    )


def test_webvtt() -> None:
    assert vtt(SAID) == (
        "WEBVTT\n\n00:00:00.600 --> 00:00:01.800\nHello world.\n\n01:00:00.000 --> 01:02:05.500\nSet a timer.\n"
    )


def test_nothing_said_is_an_empty_file() -> None:
    assert srt([]) == srt([Segment(start=0, end=30, text=" ")]) == ""
    assert vtt([]) == "WEBVTT\n"


def test_text_cannot_end_a_cue_or_be_read_as_markup() -> None:
    hostile = [Segment(start=0, end=1, text="a\n\n00:00:05.000 --> 00:00:06.000\n<b>&</b>")]
    *_, line, end = vtt(hostile).split("\n")
    assert (line, end) == ("a 00:00:05.000 -&gt; 00:00:06.000 &lt;b&gt;&amp;&lt;/b&gt;", "")
    assert srt(hostile).splitlines()[2] == "a 00:00:05.000 -> 00:00:06.000 <b>&</b>"


def test_a_cue_without_length_is_shown_all_the_same() -> None:
    assert "00:00:02.000 --> 00:00:02.001" in vtt([Segment(start=2, end=2, text="Ah!")])
    assert "00:00:00,000 --> 00:00:00,001" in srt([Segment(start=-0.5, end=-1, text="Ah!")])


@pytest.mark.parametrize("code", NAMES)
def test_a_language_has_the_name_that_it_is_found_by(code: str) -> None:
    assert language_code(language_name(code)) == code


def test_an_unknown_code_is_its_own_name() -> None:
    assert language_name("tlh") == "tlh"
