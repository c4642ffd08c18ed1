"""QNNWhisperRuntime: Whisper as Qualcomm AI Hub exports it, on a Snapdragon's NPU or, portably, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluid_server.catalog.qnn import PORTABLE, chipsets
from fluid_server.content.log_mel import SAMPLE_RATE, log_mel
from fluid_server.content.stream import TokenDecoder
from fluid_server.content.whisper_rules import Drawn, Rules
from fluid_server.content.whisper_segments import segments
from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import COLDEST, ReportProgress
from fluid_server.runtimes.hearing import HearingRuntime
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised, Say
from fluid_server.runtimes.qnn_chipset import folders_to_try, plain_name, this_machine
from fluid_server.runtimes.qnn_decoding import Decoding, heard
from fluid_server.runtimes.qnn_files import open_vocabulary, read_folder
from fluid_server.runtimes.qnn_sessions import open_sessions
from fluid_server.runtimes.qnn_writing import Writing
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions


class QNNWhisperRuntime(HearingRuntime):
    """Runs the two graphs of one chipset's folder; what they are is read from themselves."""

    name = "qnn-whisper"

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Load the chipset's graphs, or the portable ones, which the NPU compiles first."""
        folder = self._open_graphs(spec, options, progress)
        self._words = open_vocabulary(spec.path, self._contract.vocabulary)
        self._marks = self._words.marks
        self._rules = Rules(self._marks, self._contract.vocabulary)
        self.hears = Hears(
            languages=tuple(self._marks.languages) or ("en",),
            detects=len(self._marks.languages) > 1,
            translates=bool(self._marks.languages),
            prompt=self._marks.previous is not None,
            keywords=self._marks.previous is not None,
            logprobs=True,
        )
        return ModelInfo(
            runtime=self.name,
            device=options.device,
            parallel=options.parallel,
            engine=self._sessions.engine,
            context_length=self._contract.places,
            notes=(f"graphs: {folder.name}",),
        )

    def _open_graphs(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> Path:
        """The first of the fitting folders that loads. Errors: EngineFailed, of the first one."""
        failures: list[EngineFailed] = []
        for name in folders_to_try(sorted(chipsets(spec)), options.device, this_machine()):
            folder, compiled = spec.path / name, plain_name(name) != PORTABLE
            verb = "loading" if compiled or options.device == "CPU" else "compiling"
            progress(f"{verb} {name} for {options.device}", None)
            try:
                self._sessions = open_sessions(folder, options, compiled=compiled)
                self._contract = read_folder(folder, self._sessions)
            except EngineFailed as error:
                failures.append(error)
            else:
                return folder
        raise failures[0]

    def recognise(
        self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]
    ) -> Recognised:
        """One window: the encoder, the language where none is told, then token by token."""
        cross = heard(self._sessions, self._contract, log_mel(samples, self._contract.bands))
        writing = Writing(
            fresh=lambda: Decoding(self._sessions, self._contract, cross),
            marks=self._marks,
            rules=self._rules,
            temperature=ask.temperature if ask.temperature >= COLDEST else 0.0,
            chance=np.random.default_rng(ask.seed),
        )
        language = ask.language
        if self._marks.languages:
            language = language or writing.language()
        preceding = self._marks.preceding(
            self._words.context(ask.prompt, ask.keywords, self._contract.places // 2), self._contract.places // 2
        )
        start = self._marks.start_sequence(language, ask.task)
        written = writing.write(preceding, start, _Speaker(self._words.decoder(), self._marks.end, say), stopped)
        return Recognised(
            segments=segments(
                written.drawn,
                self._marks,
                self._words.decode,
                seconds=len(samples) / SAMPLE_RATE,
                temperature=ask.temperature,
                no_speech=written.no_speech,
            ),
            language=language,
            tokens=written.tokens,
            prompt_tokens=len(preceding) + len(start),
            logprobs=self._words.logprobs(written.drawn) if ask.logprobs else (),
        )


class _Speaker:
    """Says the text of a window while its tokens come."""

    def __init__(self, decoder: TokenDecoder, end: int, say: Say) -> None:
        self._decoder, self._end, self._say = decoder, end, say
        self._count, self._sum = 0, 0.0

    def __call__(self, drawn: Drawn) -> None:
        self._count += 1
        self._sum += drawn.logprob
        if drawn.token < self._end and (text := self._decoder.feed([drawn.token])):
            self._say(text, self._sum / self._count)
