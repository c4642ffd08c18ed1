"""What every runtime that embeds must do, on both formats and both ways to llama.cpp."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.catalog.scan import scan
from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes import llamacpp
from fluid_server.runtimes.base import Outcome
from fluid_server.runtimes.embedding import EmbeddingRuntime
from fluid_server.runtimes.llamacpp_embedding import LlamaCppEmbeddingRuntime
from fluid_server.runtimes.openvino_embedding import OpenVINOEmbeddingRuntime, pooled
from fluid_server.runtimes.table import create
from fluid_server.types import (
    Cancelled,
    Done,
    EmbedRequest,
    GenerateRequest,
    ModelSpec,
    RuntimeOptions,
)
from tests.embedders import BERT, BERT_GGUF, CONTEXT, QWEN, QWEN_GGUF, WIDTH, embedding_models

Floats = npt.NDArray[np.float32]
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
# id → (runtime, model, package that must be there)
RUNTIMES = {
    "openvino-bert": ("openvino-embedding", BERT, "openvino_genai"),
    "openvino-qwen3": ("openvino-embedding", QWEN, "openvino_genai"),
    "prebuilt-bert": ("llamacpp-embedding", BERT_GGUF, "xllamacpp"),
    "prebuilt-qwen3": ("llamacpp-embedding", QWEN_GGUF, "xllamacpp"),
    "native-bert": ("llamacpp-embedding", BERT_GGUF, "llama_cpp"),
    "native-qwen3": ("llamacpp-embedding", QWEN_GGUF, "llama_cpp"),
}
TEXTS = ("Hello world", "a much longer text about python modules and functions", "x", "word " * 60, "Hello world")
NEAR = 3e-3  # llama.cpp's kernels depend on the shape of a batch: differences of 9e-4 were measured


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSpec]:
    folder = embedding_models(tmp_path_factory.mktemp("embedding") / "models")
    return {spec.id: spec for spec in scan(folder)}


def made(which: str, specs: dict[str, ModelSpec], **changes: Any) -> EmbeddingRuntime:
    """One of RUNTIMES, loaded; skips where its engine is not here."""
    name, model, package = RUNTIMES[which]
    if find_spec(package) is None:
        pytest.skip(f"{package} has no wheel for this platform, or is not installed")
    own = EXACT if package == "openvino_genai" else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llamacpp, "WAYS", tuple(way for way in llamacpp.WAYS if package in way.modules) or llamacpp.WAYS)
        runtime = create(name)
        assert isinstance(runtime, EmbeddingRuntime)
        runtime.load(specs[model], RuntimeOptions(threads=1, properties=own, **changes), lambda text, done: None)
    return runtime


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest, specs: dict[str, ModelSpec]) -> Generator[EmbeddingRuntime, None, None]:
    loaded = made(request.param, specs)
    yield loaded
    loaded.close()


@pytest.fixture
def context(request: pytest.FixtureRequest) -> int:
    """Of the model of ``runtime``. The prebuilt llama.cpp has no place for a cache's last token."""
    which: str = request.node.callspec.params["runtime"]
    tokens: int = CONTEXT[RUNTIMES[which][1]]
    return tokens - (which == "prebuilt-qwen3")


@pytest.fixture
def bert(specs: dict[str, ModelSpec]) -> EmbeddingRuntime:
    """One that a test may break."""
    return made("openvino-bert", specs)


class Numbers:
    last = 0

    @classmethod
    def next(cls) -> int:
        cls.last += 1
        return cls.last


def asked(*inputs: Any, **fields: Any) -> EmbedRequest:
    return EmbedRequest(inputs=inputs, **fields)


def outcomes(runtime: EmbeddingRuntime, *requests: EmbedRequest) -> list[list[Any]]:
    """All that is said of these requests, run together."""
    numbers = [Numbers.next() for _ in requests]
    for number, request in zip(numbers, requests, strict=True):
        runtime.add(number, request)
    said: list[Outcome] = []
    while runtime.busy:
        said += runtime.step()
    return [[event for number, event in said if number == own] for own in numbers]


def vectors(events: list[Any]) -> Floats:
    """Shape [inputs, dimensions], checked to be complete."""
    *found, last = events
    assert isinstance(last, Done)
    assert sorted(one.index for one in found) == list(range(len(found)))
    return np.stack([np.frombuffer(one.vector, "<f4") for one in sorted(found, key=lambda one: int(one.index))])


def embedded(runtime: EmbeddingRuntime, *inputs: Any, **fields: Any) -> Floats:
    return vectors(outcomes(runtime, asked(*inputs, **fields))[0])


def refusal(runtime: EmbeddingRuntime, *inputs: Any) -> FluidError:
    ((error,),) = outcomes(runtime, asked(*inputs))
    assert isinstance(error, FluidError)
    return error


# --- what comes -----------------------------------------------------------------------------------------------


def test_vectors_have_the_model_s_dimensions_and_the_length_1(runtime: EmbeddingRuntime) -> None:
    found = embedded(runtime, *TEXTS)
    assert found.shape == (len(TEXTS), WIDTH)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_the_same_text_has_the_same_vector_and_another_one_has_another(runtime: EmbeddingRuntime) -> None:
    found = embedded(runtime, *TEXTS)
    assert found[0] @ found[4] == pytest.approx(1, abs=1e-5)
    assert found[0] @ found[1] < 0.99


def test_a_batch_is_what_its_texts_are_one_by_one(runtime: EmbeddingRuntime) -> None:
    alone = np.concatenate([embedded(runtime, text) for text in TEXTS])
    assert embedded(runtime, *TEXTS) == pytest.approx(alone, abs=NEAR)


def test_more_texts_than_a_batch_holds_keep_their_places(runtime: EmbeddingRuntime) -> None:
    texts = [f"text number {number} " * (1 + number % 7) for number in range(90)]
    found = embedded(runtime, *texts)
    for place in (0, 41, 89):
        assert found[place] == pytest.approx(embedded(runtime, texts[place])[0], abs=NEAR)


def test_token_ids_are_taken_as_they_stand(runtime: EmbeddingRuntime) -> None:
    ids = tuple(runtime.encode("Hello world"))
    by_ids, by_text, fewer = embedded(runtime, ids, "Hello world", ids[:-1])
    assert by_ids @ by_text == pytest.approx(1, abs=1e-5)
    assert by_ids @ fewer < 0.999


def test_dimensions_keep_the_first_numbers_and_make_them_as_long_as_1_again(runtime: EmbeddingRuntime) -> None:
    whole, cut = embedded(runtime, "Hello world")[0], embedded(runtime, "Hello world", dimensions=5)[0]
    assert cut == pytest.approx(whole[:5] / np.linalg.norm(whole[:5]), abs=1e-5)


def test_all_tokens_are_counted(runtime: EmbeddingRuntime) -> None:
    (events,) = outcomes(runtime, asked(*TEXTS, (5, 6)))
    assert events[-1].usage.prompt_tokens == sum(len(runtime.encode(text)) for text in TEXTS) + 2


def test_requests_side_by_side_get_their_own(runtime: EmbeddingRuntime) -> None:
    requests = [asked(*(f"{word} {number}" for number in range(9))) for word in ("one", "two", "three")]
    together = outcomes(runtime, *requests)
    for request, events in zip(requests, together, strict=True):
        assert vectors(events) == pytest.approx(vectors(outcomes(runtime, request)[0]), abs=NEAR)


@pytest.mark.parametrize("model", ["bert", "qwen3"])
@pytest.mark.parametrize("way", ["prebuilt", "native"])
def test_both_formats_of_one_model_give_the_same_vectors(specs: dict[str, ModelSpec], model: str, way: str) -> None:
    ours, other = made(f"openvino-{model}", specs), made(f"{way}-{model}", specs)
    assert embedded(ours, *TEXTS) == pytest.approx(embedded(other, *TEXTS), abs=NEAR)
    other.close()


@pytest.mark.parametrize(("model", "pooling"), [(BERT, "CLS"), (BERT, "MEAN"), (QWEN, "LAST_TOKEN")])
def test_openvino_genai_s_own_pipeline_gives_the_same(specs: dict[str, ModelSpec], model: str, pooling: str) -> None:
    genai = pytest.importorskip("openvino_genai")
    pipeline = genai.TextEmbeddingPipeline(
        str(specs[model].path), "CPU", pooling_type=getattr(genai.TextEmbeddingPipeline.PoolingType, pooling), **EXACT
    )
    own = OpenVINOEmbeddingRuntime()
    spec = replace(specs[model], pooling=pooling.partition("_")[0].lower())
    own.load(spec, RuntimeOptions(threads=1, properties=EXACT), lambda text, done: None)
    assert embedded(own, *TEXTS) == pytest.approx(np.array(pipeline.embed_documents(list(TEXTS))), abs=1e-5)


# --- what is refused ------------------------------------------------------------------------------------------


def test_a_text_that_is_too_long_is_refused_with_its_length_and_never_cut(
    runtime: EmbeddingRuntime, context: int
) -> None:
    ids = tuple(3 + number % 200 for number in range(context + 1))
    assert embedded(runtime, ids[:-1]).shape == (1, WIDTH)
    error = refusal(runtime, "Hello", ids)
    assert isinstance(error, ContextTooLong)
    assert error.param == "input[1]"
    assert f"at most {context} tokens" in error.message
    assert f"has {context + 1} tokens" in error.message


def test_a_text_that_cannot_fit_is_not_even_read(runtime: EmbeddingRuntime, context: int) -> None:
    assert "characters" in refusal(runtime, "a" * (context * 64 + 1)).message


@pytest.mark.parametrize("token", [-1, 2**31 - 1])
def test_a_token_that_the_model_does_not_have_is_refused(runtime: EmbeddingRuntime, token: int) -> None:
    error = refusal(runtime, (5, token))
    assert (error.param, isinstance(error, InvalidRequest)) == ("input", True)
    assert str(token) in error.message


def test_more_dimensions_than_there_are_are_refused(runtime: EmbeddingRuntime) -> None:
    with pytest.raises(InvalidRequest, match=f"at most {WIDTH}") as refused:
        runtime.add(Numbers.next(), asked("Hello", dimensions=WIDTH + 1))
    assert refused.value.param == "dimensions"
    assert not runtime.busy


def test_other_work_is_refused(runtime: EmbeddingRuntime) -> None:
    with pytest.raises(InvalidRequest, match="embeds texts"):
        runtime.add(Numbers.next(), GenerateRequest(text="Hello"))


def test_a_refusal_leaves_the_others_alone(runtime: EmbeddingRuntime) -> None:
    bad, good = outcomes(runtime, asked("Hello", (-1,)), asked("Hello"))
    assert isinstance(bad[-1], InvalidRequest)
    assert vectors(good).shape == (1, WIDTH)


# --- turns ----------------------------------------------------------------------------------------------------


def test_a_short_request_need_not_wait_for_a_long_one(runtime: EmbeddingRuntime) -> None:
    long, short = Numbers.next(), Numbers.next()
    runtime.add(long, asked(*("a long text " * 20 for _ in range(60))))
    runtime.add(short, asked("Hello"))
    ended: list[int] = []
    while runtime.busy:
        ended += [number for number, event in runtime.step() if isinstance(event, Done)]
    assert ended == [short, long]


def test_a_request_that_nobody_waits_for_ends_between_two_batches(runtime: EmbeddingRuntime) -> None:
    number = Numbers.next()
    runtime.add(number, asked(*("a long text " * 20 for _ in range(60))))
    came: list[Outcome] = []
    while not came:
        came += runtime.step()
    assert len(came) < 60
    assert runtime.cancel(number) == [(number, Cancelled())]
    assert not runtime.busy
    assert runtime.cancel(number) == []


def test_what_waits_to_be_read_can_be_cancelled_too(runtime: EmbeddingRuntime) -> None:
    number = Numbers.next()
    runtime.add(number, asked("Hello"))
    assert runtime.load_now == (1, 0)
    assert runtime.cancel(number) == [(number, Cancelled())]
    assert runtime.load_now == (0, 0)


# --- engines that fail ----------------------------------------------------------------------------------------


def test_vectors_of_what_are_no_numbers_are_never_passed_on(bert: EmbeddingRuntime) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "embed", lambda batch: np.full((len(batch), WIDTH), np.nan, np.float32))
        assert isinstance(refusal(bert, "Hello"), EngineFailed)
    assert embedded(bert, "Hello").shape == (1, WIDTH)


def test_vectors_of_what_are_no_numbers_end_their_own_request_alone(bert: EmbeddingRuntime) -> None:
    sound, batches = bert.embed, []

    def odd(batch: Sequence[Sequence[int]]) -> Floats:
        batches.append(len(batch))
        found = sound(batch).copy()
        found[[ids[0] == 9 for ids in batch]] = np.nan
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "embed", odd)
        bad, good = outcomes(bert, asked((5, 6), (9, 6)), asked((7, 8)))
    assert [type(event) for event in bad] == [EngineFailed]
    assert vectors(good).shape == (1, WIDTH)
    assert batches == [3]


def test_a_text_that_failed_half_way_leaves_nothing_in_the_cache(specs: dict[str, ModelSpec]) -> None:
    runtime = made("native-qwen3", specs)
    assert isinstance(runtime, LlamaCppEmbeddingRuntime)
    embedder, said = runtime._embedder, iter([0, 1])
    sound, long = vars(embedder)["_compute"], tuple(5 + number % 200 for number in range(600))  # two steps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "_compute", lambda *step: sound(*step) or next(said))
        assert isinstance(refusal(runtime, long), EngineFailed)
    again = embedded(runtime, "Hello world", long)
    assert again == pytest.approx(embedded(runtime, "Hello world", long), abs=NEAR)
    runtime.close()


def test_a_batch_that_failed_fails_those_that_were_in_it(bert: EmbeddingRuntime) -> None:
    def fail(batch: object) -> Floats:
        raise EngineFailed("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "embed", fail)
        first, second = outcomes(bert, asked("Hello"), asked("Hello"))
    assert [type(events[-1]) for events in (first, second)] == [EngineFailed, EngineFailed]


def test_a_vector_without_a_direction_stays_as_it_is(bert: EmbeddingRuntime) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bert, "embed", lambda batch: np.zeros((len(batch), WIDTH), np.float32))
        assert not embedded(bert, "Hello").any()


# --- pooling and devices --------------------------------------------------------------------------------------


def test_vectors_of_tokens_become_one_without_the_padding() -> None:
    states = np.array([[[1, 2], [3, 4], [99, 99]], [[1, 1], [2, 2], [6, 6]]], np.float32)
    lengths = np.array([2, 3])
    assert pooled(states, lengths, "cls").tolist() == [[1, 2], [1, 1]]
    assert pooled(states, lengths, "last").tolist() == [[3, 4], [6, 6]]
    assert pooled(states, lengths, "mean").tolist() == [[2, 3], [3, 3]]


def test_a_folder_that_does_not_say_how_it_pools_is_told_of(specs: dict[str, ModelSpec]) -> None:
    pytest.importorskip("openvino_genai")
    notes = {}
    for model in (BERT, QWEN):
        info = OpenVINOEmbeddingRuntime().load(specs[model], RuntimeOptions(threads=1), lambda text, done: None)
        notes[model] = " ".join(info.notes)
    assert "first token" in notes[BERT]
    assert "last token" in notes[QWEN]


def test_a_context_can_be_configured_shorter(specs: dict[str, ModelSpec]) -> None:
    for which in ("openvino-bert", "prebuilt-qwen3"):
        short = made(which, specs, context_length=16)
        assert isinstance(refusal(short, tuple(range(5, 22))), ContextTooLong)
        assert embedded(short, tuple(range(5, 21))).shape == (1, WIDTH)
        short.close()


def test_an_npu_is_refused_with_what_to_choose_instead(specs: dict[str, ModelSpec]) -> None:
    pytest.importorskip("openvino_genai")
    with pytest.raises(EngineFailed, match="CPU and GPU"):
        OpenVINOEmbeddingRuntime().load(specs[BERT], RuntimeOptions(device="NPU"), lambda text, done: None)
