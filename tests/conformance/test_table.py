"""The whole request table on both engines: each case is honoured or refused by name, and alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from fluid_server.api.schemas.fields import CHAT, COMPLETION, EMBEDDING, SPEAKING, TRANSCRIPTION, TRANSLATION, Contract
from fluid_server.api.schemas.responses_fields import RESPONSES
from scripts.contract.case import Case, Outcome
from scripts.contract.differences import DIFFERENCES, INCOMPLETE
from scripts.contract.report import SHORT
from scripts.contract.scoring import RIGHT
from scripts.contract.sending import Others, Server
from scripts.contract.table import CASES
from scripts.contract.typed import Published
from tests.conformance.page import rows
from tests.embedders import BERT, BERT_GGUF, embedding_models
from tests.front_door import GGUF, OPENVINO, WHISPER, RunningServer
from tests.published import OPENAPI
from tests.speaking import KOKORO, speech_models

BOTH = pytest.mark.skipif(
    not (find_spec("openvino_genai") and find_spec("xllamacpp")), reason="an engine has no wheel here"
)
CONTRACTS = {
    "/chat/completions": CHAT,
    "/completions": COMPLETION,
    "/responses": RESPONSES,
    "/audio/transcriptions": TRANSCRIPTION,
    "/audio/translations": TRANSLATION,
    "/audio/speech": SPEAKING,
    "/embeddings": EMBEDDING,
}
# What our answers say besides OpenAI's fields: docs/reference/api.md has them.
REASONING = {f"choices[].{part}.{name}" for part in ("message", "delta") for name in ("reasoning", "reasoning_content")}
OF_A_MODEL = {
    "aliases", "architecture", "capabilities", "context_length", "device", "download", "expires_at", "format",
    "keep_alive", "kind", "leases", "memory_bytes", "memory_estimate_bytes", "notes", "pinned", "problem",
    "quantization", "queued", "runtime", "size_bytes", "state",
}  # fmt: skip
CALLED = {"name"}  # in response.function_call_arguments.done: published, and not in the package yet
OF_SPEECH = {"languages", "usage", "usage.seconds", "task"}  # in translations, in a stream's end, in verbose_json
EXTRAS = REASONING | OF_A_MODEL | CALLED | OF_SPEECH | {"timings"}


@pytest.fixture(scope="module")
def engines(server: RunningServer) -> Iterator[dict[str, Server]]:
    """The session's server with each of the demo models; answers are held against the schemas that are at hand."""
    published = Published(OPENAPI) if OPENAPI.is_file() else None
    servers = {
        model: Server(server.base_url, model=model, others=Others(speech=WHISPER), published=published)
        for model in (OPENVINO, GGUF)
    }
    yield servers
    for one in servers.values():
        one.close()


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model that speaks, which no demo model does."""
    folder = tmp_path_factory.mktemp("speech")
    running = RunningServer.start("--no-warm-up", folder=folder, models=speech_models(folder / "models"))
    published = Published(OPENAPI) if OPENAPI.is_file() else None
    server = Server(running.base_url, model=KOKORO, others=Others(voice=KOKORO), published=published)
    yield server
    server.close()
    running.stop()


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """A server with models that embed in both formats, which no demo model does."""
    folder = tmp_path_factory.mktemp("embedding")
    running = RunningServer.start("--no-warm-up", folder=folder, models=embedding_models(folder / "models"))
    published = Published(OPENAPI) if OPENAPI.is_file() else None
    servers = {
        engine: Server(running.base_url, model=model, others=Others(embedder=model), published=published)
        for engine, model in ((OPENVINO, BERT), (GGUF, BERT_GGUF))
    }
    yield servers
    for one in servers.values():
        one.close()
    running.stop()


def name_of(case: Case) -> str:
    return case.name


@BOTH
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_case_is_honoured_or_refused_by_name_and_alike_on_both_engines(
    request: pytest.FixtureRequest, engines: dict[str, Server], case: Case
) -> None:
    if case.speaks:
        engines = {OPENVINO: request.getfixturevalue("speaking")}
    if case.embeds:
        engines = request.getfixturevalue("embedding")
    if case.spoken:  # the model for speech is the same beside both
        engines = {OPENVINO: engines[OPENVINO]}
    verdicts = {model: engine.try_case(case) for model, engine in engines.items()}
    for model, verdict in verdicts.items():
        assert verdict.outcome in RIGHT, f"{model}: {verdict.outcome}: {verdict.reason}"
        assert bool(verdict.invalid) is (case.name in INCOMPLETE), (model, verdict.invalid)
        assert verdict.extras <= EXTRAS, model
    outcomes = [verdict.outcome for verdict in verdicts.values()] * (2 // len(verdicts))
    assert (outcomes[0] != outcomes[1]) is (case.name in DIFFERENCES), [one.reason for one in verdicts.values()]
    assert [SHORT[outcome] for outcome in outcomes] == rows()[case.name][:2], "docs/conformance.md says otherwise"


def test_every_listed_difference_is_a_case_and_has_its_reason() -> None:
    assert DIFFERENCES.keys() | INCOMPLETE.keys() <= {case.name for case in CASES}
    assert all(reason.endswith(".") for reason in (*DIFFERENCES.values(), *INCOMPLETE.values()))


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 160
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("path", CONTRACTS)
def test_every_field_of_the_contract_is_in_a_case(path: str) -> None:
    contract: Contract = CONTRACTS[path]
    asked = {name for case in CASES for ask in case.asks if ask.path == path for name in ask.fields}
    known = {*contract.honoured, *contract.accepted, *contract.refused} - {"model"}
    assert known <= asked


@pytest.mark.parametrize("path", CONTRACTS)
def test_every_field_that_is_honoured_is_what_a_case_is_about(path: str) -> None:
    about = {name for case in CASES if any(ask.path == path for ask in case.asks) for name in case.fields}
    assert CONTRACTS[path].honoured - {"model", "messages", "prompt", "input", "stream", "temperature"} <= about


def test_outcomes_are_those_that_the_report_explains() -> None:
    assert {outcome.value for outcome in Outcome} == {
        "honoured", "refused by name", "refused otherwise", "ignored", "broken",
    }  # fmt: skip
