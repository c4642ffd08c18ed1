"""The whole request table on both engines: each case is honoured or refused by name, and alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from fluid_server.api.schemas.fields import CHAT, COMPLETION, Contract
from fluid_server.api.schemas.responses_fields import RESPONSES
from scripts.contract.case import Case, Outcome
from scripts.contract.differences import DIFFERENCES
from scripts.contract.scoring import RIGHT
from scripts.contract.table import CASES
from tests.conformance.trying import ENGINES, Trial, trial
from tests.front_door import RunningServer

BOTH = pytest.mark.skipif(
    not (find_spec("openvino_genai") and find_spec("xllamacpp")), reason="an engine has no wheel here"
)
CONTRACTS = {"/chat/completions": CHAT, "/completions": COMPLETION, "/responses": RESPONSES}
# What our answers say besides OpenAI's fields: docs/reference/api.md has them.
REASONING = {f"choices[].{part}.{name}" for part in ("message", "delta") for name in ("reasoning", "reasoning_content")}
OF_A_MODEL = {
    "aliases", "architecture", "capabilities", "context_length", "device", "download", "expires_at", "format",
    "keep_alive", "kind", "leases", "memory_bytes", "memory_estimate_bytes", "notes", "pinned", "problem",
    "quantization", "queued", "runtime", "size_bytes", "state",
}  # fmt: skip
EXTRAS = REASONING | OF_A_MODEL | {"timings"}


@pytest.fixture(scope="module")
def tried(server: RunningServer) -> Iterator[Trial]:
    """Each case once on each engine."""
    with trial(server) as made:
        yield made


def names(case: Case) -> str:
    """A case's name as the id of a test."""
    return case.name


@BOTH
@pytest.mark.parametrize("case", CASES, ids=names)
def test_a_case_is_honoured_or_refused_by_name_and_alike_on_both_engines(tried: Trial, case: Case) -> None:
    verdicts = [tried.verdict(model, case) for model in ENGINES]
    for model, verdict in zip(ENGINES, verdicts, strict=True):
        assert verdict.outcome in RIGHT, f"{model}: {verdict.outcome}: {verdict.reason}"
        assert not verdict.invalid, f"{model}: {verdict.invalid}"
        assert verdict.extras <= EXTRAS, model
    differs = verdicts[0].outcome != verdicts[1].outcome
    assert differs == (case.name in DIFFERENCES), [verdict.reason for verdict in verdicts]


def test_every_listed_difference_is_a_case_and_has_its_reason() -> None:
    assert DIFFERENCES.keys() <= {case.name for case in CASES}
    assert all(reason.endswith(".") for reason in DIFFERENCES.values())


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 160
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("path", CONTRACTS)
def test_every_field_of_the_contract_is_in_a_case(path: str) -> None:
    contract: Contract = CONTRACTS[path]
    asked = {name for case in CASES for ask in case.asks if ask.path == path for name in ask.body or ()}
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
