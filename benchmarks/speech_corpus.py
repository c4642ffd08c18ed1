"""Speech whose words are known: the sentences of the demo speech model, spoken by espeak-ng and flite.

What is said comes from `scripts/demo_models/speech/text.py`; who says it
is drawn here as `synth.py` beside it draws it, so that the set which the model was trained on can be drawn again and
left out: a sentence counts as new where that set does not hold it, a voice where none of its voices is this one.

One seed gives one corpus. espeak-ng and flite are programs (Debian: `apt install espeak-ng flite`).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
import numpy.typing as npt

from benchmarks import speech_files
from scripts.demo_models.speech import text

Samples = npt.NDArray[np.float32]

RATE = 16_000  # of the clean wav, samples a second
MODEL = "fluid-tiny-whisper-ov"
PROGRAMS = ("espeak-ng", "flite")
TRAINED = (11, 22_000, 6_000)  # seed, English and French sentences of the training set
LONGEST = 7.5  # seconds; the training set has nothing longer
LOUDEST = 20_000 / 32_768
QUIET = 200 / 32_768  # samples up to this are cut off both ends
PADDING = 0.5  # seconds of silence around a clip

LANGUAGES = {
    "en": ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp"),
    "fr": ("fr-fr", "fr-be", "fr-ch"),
}
VARIANTS = (
    *("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5"),
    *("+steph", "+adam", "+max", "+benjamin", "+zac", "+linda", "+anika", "+Andy", "+Annie", "+john", "+iven3"),
)
FLITE = ("kal16", "awb", "rms", "slt")
NEW_LANGUAGES = {"en": ("en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us", "en-gb"), "fr": LANGUAGES["fr"]}
NEW_VARIANTS = (
    *("+klatt", "+klatt2", "+klatt3", "+klatt4", "+m8", "+grandma", "+Alex", "+Alicia", "+belinda", "+boris"),
    *("+caleb", "+david", "+Denis", "+ed", "+Lee", "+michael", "+norbert", "+quincy", "+rob", "+shelby"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said, and the same in English."""

    text: str
    translation: str
    language: str


@dataclass(frozen=True, slots=True)
class Voice:
    """Who says it: a name, and the command that lacks only the text."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """One sentence by one voice: mono samples without silence around, at the ``rate`` that the program speaks at."""

    sentence: Sentence
    voice: str
    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Samples:
        """Its samples at another rate."""
        return speech_files.resampled(self.samples, self.rate, rate)


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def draw_sentence(rng: Random, language: str) -> Sentence:
    """One that the demo model can know."""
    if language == "fr":
        return Sentence(*text.french(rng), "fr")
    said = text.english(rng)
    return Sentence(said, said, "en")


def trained_voice(rng: Random, language: str) -> Voice:
    """A voice as the training set has them, in that set's order of draws."""
    if language == "en" and rng.random() < 0.3:
        return _flite(rng, FLITE)
    return _espeak(rng, LANGUAGES[language], VARIANTS)


def new_voice(rng: Random, language: str) -> Voice:
    """A voice that the model has never heard: other variants, other accents, flite's 8 kHz voice."""
    if language == "en" and rng.random() < 0.1:
        return _flite(rng, ("kal",))
    return _espeak(rng, NEW_LANGUAGES[language], NEW_VARIANTS)


def _flite(rng: Random, voices: Sequence[str]) -> Voice:
    voice = rng.choice(voices)
    stretch = rng.uniform(0.8, 1.25)
    female, male = rng.uniform(150, 200), rng.uniform(85, 130)  # both are drawn, whoever speaks
    pitch = female if voice == "slt" else male
    settings = ("--setf", f"duration_stretch={stretch:.2f}", "--setf", f"int_f0_target_mean={pitch:.0f}")
    return Voice(voice, ("flite", "-voice", voice, *settings, "-o", "/dev/stdout", "-t"))


def _espeak(rng: Random, languages: Sequence[str], variants: Sequence[str]) -> Voice:
    voice = rng.choice(languages) + rng.choice(variants)
    speed, pitch, gap = rng.randint(115, 195), rng.randint(25, 75), rng.choice([0, 0, 1, 2, 4])
    return Voice(voice, ("espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-g", str(gap), "--stdout"))


@cache
def trained_sentences() -> frozenset[str]:
    """All that was said in the training set, drawn as it was drawn, without a word being spoken."""
    seed, english, french = TRAINED
    rng, said = Random(seed), set()
    for language, number in (("en", english), ("fr", french)):
        for _ in range(number):
            said.add(draw_sentence(rng, language).text)
            trained_voice(rng, language)
    return frozenset(said)


def speak(sentence: Sentence, voice: Voice) -> Spoken:
    """Both programs write a length they cannot know yet into the header: all that follows ``data`` is taken."""
    wav = subprocess.run([*voice.command, sentence.text], capture_output=True, check=True).stdout
    rate, start = int.from_bytes(wav[24:28], "little"), wav.index(b"data") + 8
    whole = wav[start : start + (len(wav) - start) // 2 * 2]
    samples = np.frombuffer(whole, dtype="<i2").astype(np.float32) / 32_768
    (loud,) = np.nonzero(np.abs(samples) > QUIET)
    assert len(loud), f"{voice.name} says nothing of {sentence.text!r}"
    samples = samples[loud[0] : loud[-1] + 1]
    return Spoken(sentence, voice.name, samples / np.abs(samples).max() * np.float32(LOUDEST), rate)


def corpus(number: int, *, seed: int, language: str = "en", new: bool = False) -> list[Spoken]:
    """This many sentences by voices of the training set, or (``new``) such as it did not have, each said once.

    With ``new`` every second sentence is new too, where the language has any: French of the demo model has few.
    """
    return list(_take(number, _drawn(Random(seed), language, new=new)))


def _drawn(rng: Random, language: str, *, new: bool) -> Iterator[Spoken]:
    count = 0
    while True:
        sentence = draw_sentence(rng, language)
        if new and count % 2 and language == "en" and sentence.text in trained_sentences():
            continue
        voice = new_voice(rng, language) if new else trained_voice(rng, language)
        spoken = speak(sentence, voice)
        if spoken.seconds <= LONGEST:
            count += 1
            yield spoken


def _take(number: int, drawn: Iterator[Spoken]) -> Iterator[Spoken]:
    """Texts do not come twice as long as there are others: one in fifty draws at least is another."""
    seen: set[str] = set()
    again = 0
    while number:
        spoken = next(drawn)
        again = again + 1 if spoken.sentence.text in seen else 0
        if again == 0 or again > 50:
            seen.add(spoken.sentence.text)
            number -= 1
            yield spoken


def clean(spoken: Spoken, rate: int = RATE) -> Samples:
    """A clip as the model likes it: the sentence with half a second of silence before and after."""
    return np.pad(spoken.at(rate), round(PADDING * rate))


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Many sentences in one file at RATE, and where each of them truly begins and ends, in seconds."""

    samples: Samples
    spoken: tuple[Spoken, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / RATE


def stitched(spoken: Sequence[Spoken], *, seed: int, seconds: float | None = None, shortest: float = 1.2) -> Recording:
    """One sentence after the other, with silences between ``shortest`` and six seconds, all drawn.

    ``seconds``: how long the whole is to be; the silences are stretched or shrunk for it, none below ``shortest``.
    """
    rng = Random(seed)
    pauses = [rng.uniform(0, 4.8) for _ in range(len(spoken) + 1)]
    said = sum(one.seconds for one in spoken)
    if seconds is not None:
        room = seconds - said - shortest * len(pauses)
        assert room >= 0, f"{len(spoken)} sentences of {said:.0f} s do not fit into {seconds:.0f} s"
        pauses = [pause * room / sum(pauses) for pause in pauses]
    parts, starts, ends, at = [], [], [], 0
    for one, pause in zip(spoken, pauses, strict=False):
        silence = round((shortest + pause) * RATE)
        samples = one.at(RATE)
        starts.append((at + silence) / RATE)
        at += silence + len(samples)
        ends.append(at / RATE)
        parts += [np.zeros(silence, np.float32), samples]
    parts.append(np.zeros(round((shortest + pauses[-1]) * RATE), np.float32))
    return Recording(np.concatenate(parts), tuple(spoken), tuple(starts), tuple(ends))
