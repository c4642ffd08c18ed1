"""OpenVINOSpeechRuntime: OpenVINO GenAI's Text2SpeechPipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from fluid_server.content.sentences import Pause, split
from fluid_server.content.sound_file import SAMPLE_RATE, sound_file
from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.one_at_a_time import Answer, OneAtATimeRuntime
from fluid_server.runtimes.openvino_shared import import_genai, properties
from fluid_server.runtimes.openvino_speakers import KOKORO, Kokoro, Samples, Speaker, SpeechT5
from fluid_server.types import Done, ModelInfo, ModelSpec, Request, RuntimeOptions, SoundPiece, SpeakRequest, Usage

PAUSES = {Pause.CLAUSE: 0.05, Pause.SENTENCE: 0.2, Pause.PARAGRAPH: 0.5}  # seconds, beside the model's own silence
FADE = 0.005  # seconds at both ends of a piece: it may begin and end anywhere in a wave, which would click


class OpenVINOSpeechRuntime(OneAtATimeRuntime):
    """A text-to-speech model in OpenVINO IR: one request at a time, piece by piece.

    The engine speaks a whole piece in one call that cannot be stopped: who leaves is noticed before the next.
    """

    name = "openvino-speech"
    _speaker: Speaker

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile the model for the device."""
        genai = import_genai()

        def open_pipeline() -> Any:
            return genai.Text2SpeechPipeline(str(spec.path), options.device, **properties(options))

        progress(f"compiling for {options.device}", None)
        self._speaker = (Kokoro if spec.architecture == KOKORO else SpeechT5)(spec, open_pipeline)
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=1,
            engine=f"openvino-genai {genai.__version__}",
            notes=self._speaker.notes,
        )

    def check(self, request: Request) -> None:
        """Refuse other kinds of work, and voices and languages that this model does not have."""
        if not isinstance(request, SpeakRequest):
            raise InvalidRequest("This model speaks and cannot do anything else.", param="model")
        self._speaker.take(request)

    def answer(self, request: Request) -> Answer:
        """The file as it grows, one piece of the text after the other."""
        assert isinstance(request, SpeakRequest)
        take = self._speaker.take(request)
        file = sound_file(request.format)
        seconds, before = 0.0, 0.0
        try:
            for piece in split(self._speaker.written(request.text), self._speaker.limit(take)):
                samples = self._speaker.say(piece.text, take)
                if not len(samples):
                    continue
                samples = _after_pause(samples, before if seconds else 0.0)
                before = PAUSES[piece.pause] / take.speed
                seconds += len(samples) / SAMPLE_RATE
                yield SoundPiece(file.add(samples), len(samples) / SAMPLE_RATE)
            if not seconds:
                raise _soundless(take.voice)
            yield SoundPiece(file.end(), 0.0)
            yield Done(Usage(characters=len(request.text), spoken_seconds=seconds))
        finally:
            file.end()


def _after_pause(samples: Samples, pause: float) -> Samples:
    """A copy of samples that begins and ends in silence, after ``pause`` seconds of it."""
    gap = round(pause * SAMPLE_RATE)
    whole = np.concatenate([np.zeros(gap, np.float32), samples])
    ramp = np.linspace(0.0, 1.0, min(round(FADE * SAMPLE_RATE), len(samples) // 2), dtype=np.float32)
    if len(ramp):
        whole[gap : gap + len(ramp)] *= ramp
        whole[-len(ramp) :] *= ramp[::-1]
    return whole


def _soundless(voice: str) -> InvalidRequest:
    return InvalidRequest(
        f"The voice '{voice}' has no sound for anything in 'input'. Choose a voice of the text's language.",
        param="input",
    )
