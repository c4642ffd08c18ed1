"""The two kinds of model that Text2SpeechPipeline speaks with, and what each needs: Kokoro and SpeechT5."""

from __future__ import annotations

import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluid_server.content.sentences import halves
from fluid_server.content.sound_file import at_sample_rate, stretched
from fluid_server.content.voices import choose_language, choose_voice
from fluid_server.errors import EngineFailed, UnsupportedField
from fluid_server.runtimes.base import plain_reason
from fluid_server.types import ModelSpec, SpeakRequest

Samples = npt.NDArray[np.float32]
OpenPipeline = Callable[[], Any]
KOKORO = "kokoro"
SHORTEST = 16  # characters: what fails and is shorter is not tried in halves
FAILURES = (RuntimeError, ValueError, TypeError, MemoryError)
NO_ESPEAK = (
    "espeak-ng is not installed: words that are not in the model's dictionary are left out, and only English can be "
    "spoken"
)
INSTALL_ESPEAK = (
    "Install espeak-ng (apt install espeak-ng, brew install espeak-ng, or its installer for Windows) and load the "
    "model again; where the library lies in no usual place, MISAKI_ESPEAK_LIBRARY names it."
)


@dataclass(frozen=True, slots=True)
class Take:
    """How a request is to be spoken."""

    voice: str
    language: str
    speed: float


class Speaker(ABC):
    """A model that speaks. ``notes`` is what a person should know of it."""

    notes: tuple[str, ...] = ()

    def __init__(self, spec: ModelSpec, open_pipeline: OpenPipeline) -> None:
        self.spec = spec
        self._open = open_pipeline
        self.pipeline = open_pipeline()
        self._shape = tuple(self.pipeline.get_speaker_embedding_shape())
        self._voices: dict[str, Any] = {}

    @abstractmethod
    def take(self, request: SpeakRequest) -> Take:
        """Who speaks which language, and how fast. Errors: InvalidRequest naming the field."""

    @abstractmethod
    def limit(self, take: Take) -> int:
        """The most characters that can be said in one go."""

    @abstractmethod
    def generate(self, text: str, take: Take) -> Samples:
        """What the pipeline makes of a text, at the file's rate, shape [n]. Errors: FAILURES."""

    def written(self, text: str) -> str:
        """The text as the model reads it."""
        return text

    def say(self, text: str, take: Take) -> Samples:
        """A text as sound, shape [n], empty where nothing in it has a sound.

        What the engine fails on is tried once more in halves: too long is what most of its failures come from.
        Errors: EngineFailed.
        """
        try:
            return self.generate(text, take)
        except FAILURES as error:
            self.recover()
            parts = halves(text) if len(text) > SHORTEST else None
            if parts is None:
                raise EngineFailed(f"OpenVINO could not speak this: {plain_reason(error)}") from error
        return np.concatenate([self.say(part, take) for part in parts])

    def recover(self) -> None:
        """Make the pipeline usable again after a failure; there is nothing to do unless it keeps a state."""
        return

    def embedding(self, voice: str) -> Any:
        """A voice's tensor out of the model's folder. Errors: EngineFailed for a file of another size."""
        import openvino

        if voice not in self._voices:
            try:
                values = np.fromfile(self.spec.path / "voices" / f"{voice}.bin", dtype=np.float32)
                self._voices[voice] = openvino.Tensor(values.reshape(self._shape))
            except (OSError, ValueError) as error:
                raise EngineFailed(
                    f"The file of the voice '{voice}' cannot be read or is damaged: download the model again."
                ) from error
        return self._voices[voice]


class Kokoro(Speaker):
    """Kokoro: many voices and languages, and a pace of its own.

    Its graph fails on more than about 35 seconds of sound, and with one thread OpenVINO 2026.4.1 does not raise then
    but leaves the result of the request before: such sound is never passed on. Its noise is never the same twice, so
    equal sound for another text is not its own.
    """

    SPOKEN = ("en-us", "en-gb", "es", "fr-fr", "hi", "it", "pt-br")
    LONGEST = 240  # characters, some 16 seconds: 510 sounds are its limit, and figures take more sounds than characters

    def __init__(self, spec: ModelSpec, open_pipeline: OpenPipeline) -> None:
        super().__init__(spec, open_pipeline)
        self._last: tuple[object, Samples] = (None, np.zeros(0, np.float32))
        self._espeak = self._finds_espeak()
        if not self._espeak:
            self.notes = (NO_ESPEAK,)

    def _finds_espeak(self) -> bool:
        """Whether the engine finds espeak-ng: only French asks for it in any case. Warms up on the way."""
        voice = choose_voice(None, self.spec.voices)
        try:
            self.generate("a", Take(voice, "fr-fr", 1.0))
        except RuntimeError as error:
            if "espeak" not in str(error):
                raise
            return False
        return True

    def take(self, request: SpeakRequest) -> Take:
        """A voice by its name, its own language unless told. Errors: InvalidRequest naming the field."""
        voice = choose_voice(request.voice, self.spec.voices)
        language = choose_language(request.language, voice, self.SPOKEN)
        if not (self._espeak or language.startswith("en-")):
            raise UnsupportedField(
                f"Speaking '{language}' needs espeak-ng, which is not installed. {INSTALL_ESPEAK}",
                param="voice" if request.language is None else "language",
            )
        return Take(voice, language, request.speed)

    def limit(self, take: Take) -> int:
        """Slow speech is longer."""
        return round(self.LONGEST * min(take.speed, 1.0))

    def generate(self, text: str, take: Take) -> Samples:
        """What the pipeline makes of a text; RuntimeError where that is what it had made of another."""
        voice = self.embedding(take.voice)
        result = self.pipeline.generate(text, voice, speed=take.speed, language=take.language)
        samples = _samples(result)
        asked, (before, last) = (text, take), self._last
        if asked != before and len(samples) and np.array_equal(samples, last):
            raise RuntimeError("the model could not compute so long a sound")
        self._last = asked, samples
        return at_sample_rate(samples, int(result.output_sample_rate))


class SpeechT5(Speaker):
    """SpeechT5: English, the voice that is built into the engine, and those of the folder ``voices``."""

    BUILT_IN = "default"
    STEPS_PER_TOKEN = 20  # the engine gives up after as many steps; its maxlenratio
    MARGIN = 8

    def __init__(self, spec: ModelSpec, open_pipeline: OpenPipeline) -> None:
        super().__init__(spec, open_pipeline)
        config = json.loads((spec.path / "config.json").read_text(encoding="utf-8"))
        by_sound = config.get("max_speech_positions", 1876) * config.get("reduction_factor", 2) // self.STEPS_PER_TOKEN
        self._limit = max(SHORTEST, int(min(config.get("max_text_positions", 600), by_sound)) - self.MARGIN)

    def take(self, request: SpeakRequest) -> Take:
        """A voice by its name. Errors: InvalidRequest naming the field."""
        choose_language(request.language, "", ("en",))
        return Take(choose_voice(request.voice, self.spec.voices), "en", request.speed)

    def limit(self, take: Take) -> int:
        """So short that all steps that a text can take have their places in the model."""
        return self._limit

    def written(self, text: str) -> str:
        """As its tokenizer would write it, which may be longer."""
        return unicodedata.normalize("NFKC", text)

    def generate(self, text: str, take: Take) -> Samples:
        """What the pipeline makes of a text; its pace is changed afterwards."""
        built_in = take.voice == self.BUILT_IN and not (self.spec.path / "voices" / f"{take.voice}.bin").exists()
        voice = () if built_in else (self.embedding(take.voice),)
        result = self.pipeline.generate(text, *voice)
        rate = int(result.output_sample_rate)
        return at_sample_rate(stretched(_samples(result), rate, take.speed), rate)

    def recover(self) -> None:
        """A decoder that failed keeps its state, and would fail on everything that follows."""
        self.pipeline = self._open()


def _samples(result: Any) -> Samples:
    """A copy: the engine may write its next result into the same memory. NaN and overshoot are taken out."""
    samples = np.array(result.speeches[0].data, dtype=np.float32).reshape(-1)
    return np.clip(np.nan_to_num(samples, copy=False), -1.0, 1.0, out=samples)
