"""Our own server with the demo models, and llama.cpp's server with the same weights, by the whole table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from scripts.contract.llama_server import running
from scripts.contract.scoring import Result
from scripts.contract.sending import Others, Server
from scripts.contract.typed import Published
from tests.embedders import BERT, BERT_GGUF, embedding_models
from tests.front_door import GGUF, MODELS, OPENVINO, WHISPER, RunningServer
from tests.speaking import KOKORO, speech_models

# In f32 answers are the same on every processor.
FLAGS = ("--no-warm-up", "--idle-timeout", "0", "--openvino", "INFERENCE_PRECISION_HINT=f32")
F16 = MODELS / "llm" / "fluid-tiny-gguf" / "fluid-tiny-F16.gguf"
ENGINES = {
    OPENVINO: ("Fluid Server, OpenVINO", "openvino-genai"),
    GGUF: ("Fluid Server, llama.cpp", "xllamacpp"),
}
EMBEDDERS = {OPENVINO: BERT, GGUF: BERT_GGUF}
Run = Callable[[Server, str], Result]


def our_results(run: Run, published: Published | None, folder: Path | None = None) -> list[Result]:
    """The results of both demo models on a server of ours, then of the peer. ``folder`` is where the server runs."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        place = folder or Path(made)
        models = speech_models(Path(made) / "models")
        embedding_models(models)
        shutil.copytree(MODELS, models, dirs_exist_ok=True)
        ours = RunningServer.start(*FLAGS, folder=place, models=models)
        try:
            results = [_tried(run, ours.base_url, model, published) for model in ENGINES]
        finally:
            ours.stop()
    with running(F16) as (address, engine):
        server = Server(address, model=F16.stem, published=published)
        results.append(replace(run(server, "llama-server"), version=engine))
        server.close()
    return results


def _tried(run: Run, base_url: str, model: str, published: Published | None) -> Result:
    title, package = ENGINES[model]
    others = Others(speech=WHISPER, voice=KOKORO, embedder=EMBEDDERS[model])
    server = Server(base_url, model=model, others=others, published=published)
    try:
        return replace(run(server, title), version=f"{package} {version(package)}")
    finally:
        server.close()
