"""OpenVINOWhisperRuntime: OpenVINO GenAI's WhisperPipeline."""

from __future__ import annotations

import io
import queue
import re
import threading
from typing import Any

from fluid_server.content.sound import Sound, decode
from fluid_server.errors import EngineFailed, FluidError, InvalidRequest, UnreadableAudio
from fluid_server.runtimes.base import COLDEST, ReportProgress, plain_reason
from fluid_server.runtimes.one_at_a_time import Answer, OneAtATimeRuntime
from fluid_server.runtimes.openvino_shared import import_genai, properties
from fluid_server.types import (
    ChoiceEnd,
    Done,
    LanguageHeard,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    Segment,
    TextPiece,
    TranscribeRequest,
    Usage,
)

SPECIAL_TOKEN = re.compile(r"<\|[^|<>]*\|>")
PROMPT_TOKENS = 200
TICK = 0.02  # seconds between two looks at whether the client is still there
SHORTEST = 400  # samples, 25 ms: Whisper's window; less cannot hold a sound and makes the pipeline raise


class OpenVINOWhisperRuntime(OneAtATimeRuntime):
    """A Whisper in OpenVINO IR: one file at a time, any length (the pipeline moves its 30 s window along)."""

    name = "openvino-whisper"

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Compile encoder and decoder for the device."""
        self._genai = import_genai()
        progress(f"compiling for {options.device}", None)
        self._pipeline = self._genai.WhisperPipeline(str(spec.path), options.device, **properties(options))
        config = self._pipeline.get_generation_config()
        self._languages = sorted(token.strip("<|>") for token in config.lang_to_id)
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=1,
            engine=f"openvino-genai {self._genai.__version__}",
            context_length=config.max_length if config.max_length < 1_000_000 else None,
        )

    def check(self, request: Request) -> None:
        """Refuse other kinds of work, and a language that this model does not have."""
        if not isinstance(request, TranscribeRequest):
            raise InvalidRequest("This model transcribes speech and cannot do anything else.", param="model")
        if request.language is not None and self._languages and request.language not in self._languages:
            known = ", ".join(self._languages)
            raise InvalidRequest(
                f"This model does not know the language '{request.language}'. It knows: {known}.",
                param="language",
            )

    def answer(self, request: Request) -> Answer:
        """Text as it is recognised; the pipeline runs in a thread and is told to stop when we are closed."""
        assert isinstance(request, TranscribeRequest)
        task = _Task(self._pipeline, self._genai, request, multilingual=bool(self._languages))
        task.start()
        try:
            while (item := task.next()) is not _END:
                if isinstance(item, FluidError):
                    raise item
                yield TextPiece(0, item) if isinstance(item, str) else item
            yield ChoiceEnd(0, "stop")
            yield Done(Usage(completion_tokens=task.tokens, audio_seconds=task.seconds))
        finally:
            task.end()


_END = object()


class _Task:
    """One file: decoded and recognised in a thread."""

    def __init__(self, pipeline: Any, genai: Any, request: TranscribeRequest, *, multilingual: bool) -> None:
        self._pipeline = pipeline
        self._genai = genai
        self._request = request
        self._multilingual = multilingual
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="whisper", daemon=True)
        self._end: object = EngineFailed("The transcription broke off.")  # unless it ends otherwise
        self.seconds = 0.0
        self.tokens = 0

    def start(self) -> None:
        self._thread.start()

    def next(self) -> Any:
        """A piece of text, what was heard, a failure, the end, or None when nothing has come for a tick."""
        try:
            return self._items.get(timeout=TICK)
        except queue.Empty:
            return None

    def end(self) -> None:
        """Make the pipeline stop at its next token and wait for it."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            audio = self._request.audio
            source = io.BytesIO(audio) if isinstance(audio, bytes) else audio
            sound = decode(source, max_seconds=self._request.max_seconds, stopped=self._stopped.is_set)
            self.seconds = sound.seconds
            if len(sound.samples) < SHORTEST:
                raise UnreadableAudio(
                    f"The audio is {sound.seconds * 1000:.0f} ms long: too short to hold speech.",
                    param="file",
                )
            self._recognise(sound)
            self._end = _END
        except FluidError as error:
            self._end = error
        except (RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
            self._end = EngineFailed(f"OpenVINO could not transcribe this: {plain_reason(error)}")
        finally:
            self._items.put(self._end)

    def _recognise(self, sound: Sound) -> None:
        if self._stopped.is_set():
            return
        settings = {"return_timestamps": True, **self._settings()}
        result = self._pipeline.generate(sound.samples, streamer=self._on_text, **settings)
        self.tokens = int(result.perf_metrics.get_num_generated_tokens())
        if result.language:
            self._items.put(LanguageHeard(result.language.strip("<|>")))
        for chunk in result.chunks or ():
            self._items.put(Segment(start=chunk.start_ts, end=chunk.end_ts, text=chunk.text))

    def _on_text(self, text: str) -> Any:
        # The pipeline decodes timestamp tokens as text where a model puts them unasked (seen with a prompt).
        if words := SPECIAL_TOKEN.sub("", text):
            self._items.put(words)
        status = self._genai.StreamingStatus
        return status.CANCEL if self._stopped.is_set() else status.RUNNING

    def _last_tokens(self, prompt: str) -> str:
        """The end of a prompt: Whisper takes half of its context for it, and OpenAI's too forgets the rest."""
        tokenizer = self._pipeline.get_tokenizer()
        ids = tokenizer.encode(prompt, add_special_tokens=False).input_ids.data.reshape(-1)
        return prompt if len(ids) <= PROMPT_TOKENS else str(tokenizer.decode(ids[-PROMPT_TOKENS:].tolist()))

    def _settings(self) -> dict[str, Any]:
        request = self._request
        settings: dict[str, Any] = {}
        if self._multilingual:
            settings["task"] = request.task
            if request.language is not None:
                settings["language"] = f"<|{request.language}|>"
        if request.prompt:
            settings["initial_prompt"] = self._last_tokens(request.prompt)
        if request.temperature >= COLDEST:
            settings |= {"do_sample": True, "temperature": request.temperature, "rng_seed": 0}
        return settings
