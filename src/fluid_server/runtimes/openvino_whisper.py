"""OpenVINOWhisperRuntime: OpenVINO GenAI's WhisperPipeline, given one window at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fluid_server.runtimes.base import COLDEST, ReportProgress, plain_reason
from fluid_server.runtimes.hearing import HearingRuntime
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised, Say
from fluid_server.runtimes.openvino_shared import import_genai, properties
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions, Segment, Word

SPECIAL_TOKEN = re.compile(r"<\|[^|<>]*\|>")
PROMPT_TOKENS = 200  # Whisper keeps half of its 448 places for what came before
KEYWORD_TOKENS = 100  # of them at most, for keywords
WARM_UP = np.zeros(16_000, np.float32)


class OpenVINOWhisperRuntime(HearingRuntime):
    """A Whisper in OpenVINO IR."""

    name = "openvino-whisper"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile encoder and decoder for the device, with the times of words where model and device have them."""
        self._genai = import_genai()
        progress(f"compiling for {options.device}", None)
        self._pipeline, words, note = self._compiled(str(spec.path), options)
        config = self._pipeline.get_generation_config()
        self._multilingual = bool(config.is_multilingual)
        self.hears = hears(config, options.device, words=words)
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=options.parallel,
            engine=f"openvino-genai {self._genai.__version__}",
            context_length=config.max_length if config.max_length < 1_000_000 else None,
            notes=(note,) if note else (),
        )

    def recognise(
        self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]
    ) -> Recognised:
        """One window, with the times of its segments."""
        status = self._genai.StreamingStatus

        def on_text(text: str) -> Any:
            # The pipeline decodes timestamp tokens as text where a model puts them unasked (seen with a prompt).
            say(SPECIAL_TOKEN.sub("", text))
            return status.CANCEL if stopped() else status.RUNNING

        result = self._pipeline.generate(samples, streamer=on_text, **self._settings(ask))
        segments = [
            Segment(start=chunk.start_ts, end=chunk.end_ts, text=SPECIAL_TOKEN.sub("", chunk.text))
            for chunk in result.chunks or ()
        ]
        if ask.words:
            segments = _with_words(segments, [Word(one.word, one.start_ts, one.end_ts) for one in result.words or ()])
        return Recognised(
            segments=tuple(segments),
            language=result.language.strip("<|>") or None if self._multilingual else "en",
            tokens=int(result.perf_metrics.get_num_generated_tokens()),
        )

    def _compiled(self, path: str, options: RuntimeOptions) -> tuple[Any, bool, str | None]:
        """The pipeline, whether it times words, and why not.

        Measured on a CPU, a pipeline that can time words is as fast as one that cannot where they are not asked for.
        That a graph cannot be taken apart for it shows in the first use alone.
        """
        chosen = properties(options)
        try:
            pipeline = self._genai.WhisperPipeline(path, options.device, word_timestamps=True, **chosen)
            pipeline.generate(WARM_UP, return_timestamps=True, word_timestamps=True)
        except RuntimeError as error:
            pipeline = self._genai.WhisperPipeline(path, options.device, **chosen)
            return pipeline, False, f"Words have no times with this model: {plain_reason(error)}"
        return pipeline, True, None

    def _settings(self, ask: Ask) -> dict[str, Any]:
        settings: dict[str, Any] = {"return_timestamps": True}
        if self.hears.words:
            settings["word_timestamps"] = ask.words
        if self._multilingual:
            settings["task"] = ask.task
            if ask.language is not None:
                settings["language"] = f"<|{ask.language}|>"
        keywords = self._tokens(", ".join(ask.keywords))[:KEYWORD_TOKENS]
        if keywords:
            settings["hotwords"] = self._text(keywords)
        if ask.prompt:
            # The end of a prompt is what counts: OpenAI's too forgets the rest.
            settings["initial_prompt"] = self._text(self._tokens(ask.prompt)[len(keywords) - PROMPT_TOKENS :])
        if ask.temperature >= COLDEST:
            settings |= {"do_sample": True, "temperature": ask.temperature, "rng_seed": ask.seed}
        return settings

    def _tokens(self, text: str) -> list[int]:
        if not text:
            return []
        encoded = self._pipeline.get_tokenizer().encode(text, add_special_tokens=False)
        return [int(token) for token in encoded.input_ids.data.reshape(-1)]

    def _text(self, tokens: list[int]) -> str:
        return str(self._pipeline.get_tokenizer().decode(tokens))


def hears(config: Any, device: str, *, words: bool) -> Hears:
    """What a Whisper can be asked for, by its generation config (openvino_genai.WhisperGenerationConfig)."""
    multilingual = bool(config.is_multilingual)
    prompted = device.split(".", maxsplit=1)[0] != "NPU"  # its static graphs have no room for what came before
    return Hears(
        languages=tuple(sorted(token.strip("<|>") for token in config.lang_to_id)) if multilingual else ("en",),
        detects=multilingual,
        translates=multilingual,
        prompt=prompted,
        keywords=prompted,
        words=words,
    )


def _with_words(segments: Sequence[Segment], words: Sequence[Word]) -> list[Segment]:
    """Each word with the segment in whose text it stands: both are the same text, cut differently."""
    ends, end = [], 0
    for segment in segments:
        end += len(segment.text)
        ends.append(end)
    parted: list[list[Word]] = [[] for _ in segments]
    at = 0
    for word in words:
        place = next((index for index, end in enumerate(ends) if at < end), None)
        if place is not None:
            parted[place].append(word)
        at += len(word.text)
    return [replace(segment, words=tuple(own)) for segment, own in zip(segments, parted, strict=True)]
