"""Speech: what is heard, and in which form it is told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from scripts.contract.asking import Group
from scripts.contract.case import Ask, Case
from scripts.contract.checks import all_of
from scripts.contract.checks_audio import (
    heard_in_events,
    hears,
    language,
    logprobs,
    logprobs_in_events,
    measured,
    other_text,
    same_text,
    segmented,
    silent,
    subtitles,
    without,
    worded,
)

CLIPS = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "audio"
LIGHT, FRENCH = "kitchen-light", "bonjour"  # "Turn on the kitchen light.", "Bonjour le monde."
VERBOSE = ("response_format", "verbose_json")
VAD = "server_vad"


@cache
def clip(name: str) -> bytes:
    """A spoken sentence."""
    return (CLIPS / f"{name}.wav").read_bytes()


def transcribe(*fields: tuple[str, str], sound: str | bytes | None = LIGHT, named: bool = True) -> Ask:
    """A transcription; a field may be sent more than once. ``sound`` is the name of a clip, or the file itself."""
    data = clip(sound) if isinstance(sound, str) else sound
    return Ask(path="/audio/transcriptions", form=fields, sound=data, named=named)


def translate(*fields: tuple[str, str], sound: str | None = FRENCH) -> Ask:
    """A translation."""
    return Ask(path="/audio/translations", form=fields, sound=None if sound is None else clip(sound))


HEARD = Group("transcriptions", "audio")
TIMED = Group("times and subtitles", "audio")
STREAMED = Group("streamed transcripts", "audio")
TRANSLATED = Group("translations", "audio")
WRONG = Group("wrong uploads", "audio")
OURS = Group("beyond OpenAI's contract: speech", "beyond OpenAI's contract", ours=True)
KITCHEN, WORLD = hears("kitchen", "light"), hears("hello", "world")
STREAM = ("stream", "true")
PROMPT = (
    "prompt",
    "turn off the radio please and then go home and say hello to the world",
)  # neither capitals nor stops

SPOKEN: tuple[Case, ...] = (
    HEARD.case("transcription", "a sentence is written down", transcribe(), check=all_of(KITCHEN, measured)),
    HEARD.case("transcription as text", "it is plain text", transcribe(("response_format", "text")), check=KITCHEN),
    HEARD.case(
        "language", "French is heard where it is said to be", transcribe(("language", "fr"), sound=FRENCH),
        check=hears("bonjour", "monde"), about="language",
    ),
    HEARD.case(
        "language left out", "French is recognised", transcribe(VERBOSE, sound=FRENCH),
        check=all_of(hears("bonjour", "monde"), language("french")), about="language",
    ),
    HEARD.wrong("language that is none", transcribe(("language", "klingon")), about="language"),
    HEARD.case(
        "languages of one", "French is heard where it is said to be", transcribe(("languages[]", "fr"), sound=FRENCH),
        check=hears("bonjour", "monde"), about="languages",
    ),
    HEARD.case(
        "languages of two", "one of them is heard",
        transcribe(("languages[]", "fr"), ("languages[]", "en"), sound=FRENCH), check=hears("bonjour", "monde"),
        about="languages",
    ),
    HEARD.case(
        "prompt", "its style is taken", transcribe(), transcribe(PROMPT), check=other_text, about="prompt",
    ),
    HEARD.case(
        "keywords", "their spelling is taken", transcribe(), transcribe(("keywords[]", "Kitchen-Lite")),
        check=other_text, about="keywords",
    ),
    HEARD.case(
        "temperature of 0", "twice the same", *([transcribe(("temperature", "0"))] * 2), check=same_text,
        about="temperature",
    ),
    HEARD.case(
        "temperature of 0.2", "it is taken", transcribe(("temperature", "0.2")), check=measured, about="temperature",
    ),
    HEARD.wrong("temperature above 1 × transcription", transcribe(("temperature", "1.5")), about="temperature"),
    HEARD.case(
        "chunking_strategy of auto", "the sentence is heard", transcribe(("chunking_strategy", "auto")), check=KITCHEN,
        about="chunking_strategy",
    ),
    HEARD.case(
        "chunking_strategy of server_vad", "as fields of the form",
        transcribe(
            ("chunking_strategy[type]", VAD), ("chunking_strategy[threshold]", "0.4"),
            ("chunking_strategy[silence_duration_ms]", "800"),
        ),
        check=KITCHEN, about="chunking_strategy",
    ),
    HEARD.case(
        "chunking_strategy × threshold of 1", "then nothing is speech",
        transcribe(("chunking_strategy[type]", VAD), ("chunking_strategy[threshold]", "1")), check=silent,
        about="chunking_strategy",
    ),
    HEARD.case(
        "chunking_strategy as JSON", "as one field",
        transcribe(("chunking_strategy", '{"type": "server_vad", "prefix_padding_ms": 200}')), check=KITCHEN,
        about="chunking_strategy",
    ),
    HEARD.wrong(
        "chunking_strategy of another type", transcribe(("chunking_strategy", '{"type": "client_vad"}')),
        about="chunking_strategy",
    ),
    HEARD.wrong(
        "chunking_strategy × threshold above 1",
        transcribe(("chunking_strategy[type]", VAD), ("chunking_strategy[threshold]", "2")), about="chunking_strategy",
    ),
    HEARD.case(
        "include of logprobs", "each token has one", transcribe(("include[]", "logprobs")), check=logprobs,
        about="include",
    ),
    HEARD.wrong("include of what is not there", transcribe(("include[]", "everything")), about="include"),
    HEARD.case(
        "diarized_json", "speakers are told apart or it is refused",
        transcribe(("response_format", "diarized_json"), ("chunking_strategy", "auto")), check=KITCHEN,
        about="response_format",
    ),
    HEARD.case(
        "known_speaker_names", "they are told or refused",
        transcribe(("response_format", "diarized_json"), ("known_speaker_names[]", "Ann")), check=KITCHEN,
        about="known_speaker_names response_format",
    ),
    HEARD.case(
        "known_speaker_references", "they are heard or refused",
        transcribe(("known_speaker_references[]", "data:audio/wav;base64,UklGRg==")), check=KITCHEN,
        about="known_speaker_references response_format",
    ),
    TIMED.case(
        "verbose_json", "language, length and segments", transcribe(VERBOSE),
        check=all_of(KITCHEN, language("english"), segmented, without("words")), about="response_format",
    ),
    TIMED.case(
        "timestamp_granularities of segment", "segments", transcribe(VERBOSE, ("timestamp_granularities[]", "segment")),
        check=all_of(segmented, without("words")), about="timestamp_granularities",
    ),
    TIMED.case(
        "timestamp_granularities of word", "words and no segments",
        transcribe(VERBOSE, ("timestamp_granularities[]", "word")), check=all_of(worded, without("segments")),
        about="timestamp_granularities",
    ),
    TIMED.case(
        "timestamp_granularities of both", "words and segments",
        transcribe(VERBOSE, ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")),
        check=all_of(worded, segmented), about="timestamp_granularities",
    ),
    TIMED.wrong(
        "timestamp_granularities × json", transcribe(("timestamp_granularities[]", "word")),
        about="timestamp_granularities response_format",
    ),
    TIMED.wrong(
        "timestamp_granularities of another size", transcribe(VERBOSE, ("timestamp_granularities[]", "letter")),
        about="timestamp_granularities",
    ),
    TIMED.case(
        "srt", "cues with a comma", transcribe(("response_format", "srt")), check=all_of(KITCHEN, subtitles(point=",")),
        about="response_format",
    ),
    TIMED.case(
        "vtt", "cues with a point", transcribe(("response_format", "vtt")), check=all_of(KITCHEN, subtitles(point=".")),
        about="response_format",
    ),
    TIMED.wrong("response_format of another name", transcribe(("response_format", "xml")), about="response_format"),
    STREAMED.case(
        "stream × transcription", "the deltas are the text", transcribe(), transcribe(STREAM),
        check=all_of(heard_in_events, same_text), about="stream",
    ),
    STREAMED.case(
        "stream of false × transcription", "an object comes", transcribe(("stream", "false")), check=measured,
        about="stream",
    ),
    STREAMED.case(
        "stream × language × transcription", "French, in pieces", transcribe(STREAM, ("language", "fr"), sound=FRENCH),
        check=all_of(heard_in_events, hears("bonjour")), about="stream",
    ),
    STREAMED.case(
        "stream × include", "each delta has its log probabilities", transcribe(STREAM, ("include[]", "logprobs")),
        check=all_of(heard_in_events, logprobs_in_events), about="include",
    ),
    STREAMED.case(
        "stream × srt", "it is refused, or events come", transcribe(STREAM, ("response_format", "srt")),
        check=heard_in_events, about="stream response_format",
    ),
    STREAMED.wrong(
        "a file that is no sound × stream", transcribe(STREAM, sound=b"no sound at all"), about="file",
    ),
    TRANSLATED.case("translation", "French becomes English", translate(), check=WORLD),
    TRANSLATED.case("translation as text", "plain text", translate(("response_format", "text")), check=WORLD),
    TRANSLATED.case(
        "translation as srt", "cues", translate(("response_format", "srt")),
        check=all_of(WORLD, subtitles(point=",")), about="response_format",
    ),
    TRANSLATED.case(
        "translation as vtt", "cues", translate(("response_format", "vtt")),
        check=all_of(WORLD, subtitles(point=".")), about="response_format",
    ),
    TRANSLATED.case(
        "translation as verbose_json", "segments, and its language is English", translate(VERBOSE),
        check=all_of(WORLD, language("english"), segmented), about="response_format",
    ),
    TRANSLATED.case(
        "prompt × translation", "its style is taken", translate(), translate(PROMPT), check=other_text, about="prompt",
    ),
    TRANSLATED.case(
        "temperature × translation", "twice the same", *([translate(("temperature", "0"))] * 2), check=same_text,
        about="temperature",
    ),
    *(
        TRANSLATED.wrong(f"{name} × translation", translate((f"{name}{brackets}", value)), about=name)
        for name, brackets, value in (
            ("stream", "", "true"), ("timestamp_granularities", "[]", "word"), ("include", "[]", "logprobs"),
            ("keywords", "[]", "world"), ("languages", "[]", "fr"), ("chunking_strategy", "[type]", VAD),
            ("known_speaker_names", "[]", "Ann"), ("known_speaker_references", "[]", "data:audio/wav;base64,UklGRg=="),
        )
    ),
    TRANSLATED.wrong(
        "diarized_json × translation", translate(("response_format", "diarized_json")), about="response_format",
    ),
    TRANSLATED.wrong("a translation without a file", translate(sound=None), about="file"),
    WRONG.wrong("a transcription without a file", transcribe(sound=None), about="file"),
    WRONG.wrong("a transcription without a model", transcribe(named=False), about="model"),
    WRONG.wrong(
        "a transcription by an unknown model", transcribe(("model", "no-such-model")), about="model", status=404,
    ),
    WRONG.wrong("a file that is no sound", transcribe(sound=b"no sound at all, but words"), about="file"),
    WRONG.wrong("a file of nothing", transcribe(sound=b""), about="file"),
    WRONG.wrong("an unknown field of a form", transcribe(("lnguage", "en")), about="lnguage"),
    WRONG.wrong("a field of a form twice", transcribe(("prompt", "a"), ("prompt", "b")), about="prompt"),
)  # fmt: skip
SPOKEN_EXTRAS: tuple[Case, ...] = (
    OURS.case(
        "language by its name", "as its code", transcribe(("language", "French"), sound=FRENCH),
        check=hears("bonjour", "monde"), about="language",
    ),
    OURS.case(
        "language × translation", "the one that is spoken", translate(("language", "fr")), check=WORLD,
        about="language",
    ),
    OURS.case(
        "keep_alive × transcription", "it changes nothing", transcribe(("keep_alive", "5m")), check=KITCHEN,
        about="keep_alive",
    ),
    OURS.case(
        "keep_alive × translation", "it changes nothing", translate(("keep_alive", "5m")), check=WORLD,
        about="keep_alive",
    ),
)  # fmt: skip
