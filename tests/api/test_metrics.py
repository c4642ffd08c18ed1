"""GET /metrics: a server lives through all that is counted, and then says so exactly."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import httpx
import openai
import pytest
from openai.types import CompletionUsage

import fluid_server
from tests.front_door import AUDIO, ECHO, MODELS, PATIENCE, WHISPER, RunningServer, error_of, until
from tests.hub_server import HubServer
from tests.scrape import Scrape

KEY = "secret"
CHAT, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/audio/transcriptions"
REPOSITORY, UNLOADABLE = "acme/unloadable", "unloadable"
with_openvino = pytest.mark.skipif(not find_spec("openvino_genai"), reason="it has no wheel here")


@dataclass
class Story:
    """What was done to a server, and what /metrics said then."""

    server: RunningServer
    http: httpx.Client
    usages: list[CompletionUsage] = field(default_factory=list)
    chats: list[int] = field(default_factory=list)
    downloaded: int = 0
    seconds: float = 0.0
    during: Scrape = field(init=False)
    after: Scrape = field(init=False)

    def scrape(self) -> Scrape:
        return Scrape.of(self.server, KEY)

    def chat(self, model: str, said: str = "one two three", **fields: Any) -> dict[str, Any]:
        """The answer, whatever its status; its usage is noted."""
        body = {"model": model, "messages": [{"role": "user", "content": said}], **fields}
        response = self.http.post(CHAT, json=body)
        self.chats.append(response.status_code)
        answer: dict[str, Any] = response.json()
        if "usage" in answer:
            self.usages.append(CompletionUsage(**answer["usage"]))
        return answer


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One server, and all that happens to it. One model is in memory at a time, and gives one answer at a time."""
    home = tmp_path_factory.mktemp("home")
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "whisper" / WHISPER, models / WHISPER)
    with HubServer() as hub:
        weights = (MODELS / "llm" / "fluid-tiny-gguf" / "fluid-tiny-Q8_0.gguf").read_bytes()
        hub.add(
            REPOSITORY, {"unloadable-Q8_0.gguf": weights.replace(b"llama.block_count", b"llama.block_count".upper())}
        )
        flags = ("--echo", "--no-warm-up", "--idle-timeout", "0", "--max-loaded", "1", "--parallel", "1")
        environment = {"FLUID_API_KEY": KEY, **hub.environment(home)}
        server = RunningServer.start(*flags, env=environment, folder=home, models=models)
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            with httpx.Client(base_url=server.address or "", timeout=PATIENCE, headers=headers) as http:
                told = Story(server, http, downloaded=len(weights))
                tell(told)
                yield told
        finally:
            server.stop()


def tell(story: Story) -> None:
    fetch_and_fail(story)
    if find_spec("openvino_genai"):
        transcribe(story)
    answer(story)
    leave(story)
    ask_wrongly(story)
    story.http.post(f"/v1/models/{ECHO}/unload").raise_for_status()
    until(lambda: story.scrape().value("fluid_http_requests_total", route=CHAT) == len(story.chats))
    story.after = story.scrape()


def fetch_and_fail(story: Story) -> None:
    """A model comes from the Hub and does not load: the first request tries, the second is told to wait."""
    story.http.post("/v1/models/pull", json={"model": REPOSITORY, "stream": True}).raise_for_status()
    for _ in range(2):
        assert story.chat(UNLOADABLE)["error"]["code"] == "model_load_failed"


def transcribe(story: Story) -> None:
    files = {"file": ("light.wav", (AUDIO / "kitchen-light.wav").read_bytes())}
    heard = story.http.post(TRANSCRIPTIONS, data={"model": WHISPER}, files=files).raise_for_status()
    story.seconds = heard.json()["usage"]["seconds"]


def answer(story: Story) -> None:
    """Whole, with two choices, and streamed to the official client."""
    story.chat(ECHO)
    story.chat(ECHO, "four five", n=2)
    with openai.OpenAI(base_url=story.server.base_url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "six seven eight nine"}]
        chunks = client.chat.completions.create(
            model=ECHO, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        story.usages += [chunk.usage for chunk in chunks if chunk.usage]
    story.chats.append(200)


def leave(story: Story) -> None:
    """A stream that would go on, left after its first text; another request waits for that."""
    messages = [{"role": "user", "content": "ten"}]
    body = {"model": ECHO, "messages": messages, "ignore_eos": True, "stream": True}
    with ThreadPoolExecutor(1) as pool:
        with story.http.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()  # kept, since one that is let go of closes the connection
            next(line for line in lines if '"content":"ten' in line)
            waiting = pool.submit(story.chat, ECHO)
            until(lambda: story.scrape().value("fluid_requests_waiting"))
            story.during = story.scrape()
        waiting.result(PATIENCE)
    story.chats.append(200)
    until(lambda: story.scrape().value("fluid_requests_total", outcome="cancelled"))


def ask_wrongly(story: Story) -> None:
    """What ends before a model is reached, with as many new names as a client can think of."""
    for number in range(3):
        story.chat(f"model-{number}")
        story.http.get(f"/nothing/{number}")
        story.http.get(f"/v1/models/model-{number}")
        story.http.request("PURGE", "/health")
    story.chat(ECHO, temperature="hot")
    httpx.get(f"{story.server.address}/v1/models", timeout=PATIENCE)
    with suppress(httpx.HTTPError):
        story.http.post(TRANSCRIPTIONS, data={"model": ECHO}, files={"file": ("a.wav", b"")})


# --- form ----------------------------------------------------------------------------------------------------


def test_prometheus_reads_it(story: Story) -> None:
    response = story.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.text.endswith("\n")
    for name, family in story.after.families.items():
        series = [(one.name, tuple(sorted(one.labels.items()))) for one in family.samples]
        assert len(series) == len(set(series)), name
        assert family.documentation, name


def test_names_follow_the_rules(story: Story) -> None:
    assert "_created" not in story.after.text
    for name, family in story.after.ours.items():
        assert re.fullmatch(r"fluid(_[a-z]+)+", name)
        assert family.type in {"counter", "gauge", "histogram"}
        assert name.endswith("_total") == (family.type == "counter")
        assert name.endswith("_seconds") == (family.type == "histogram")


def test_it_wants_the_key(story: Story) -> None:
    error_of(httpx.get(f"{story.server.address}/metrics"), 401)
    error_of(httpx.get(f"{story.server.address}/metrics", headers={"Authorization": "Bearer wrong"}), 401)


def test_server_and_process_are_named(story: Story) -> None:
    assert story.after.value("fluid_build_info", version=fluid_server.__version__) == 1
    names = ("cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds", "open_fds")
    assert all(story.after.value(f"process_{name}") > 0 for name in names)
    assert story.after.value("python_info") == 1


def test_clients_cannot_make_up_a_labels_value(story: Story) -> None:
    assert story.after.values_of("model") <= {ECHO, UNLOADABLE, WHISPER}
    assert story.after.values_of("method") == {"GET", "POST", "other"}
    assert not {route for route in story.after.values_of("route") if re.search(r"\d$", route)}


# --- counts --------------------------------------------------------------------------------------------------


def test_requests_are_counted_by_outcome(story: Story) -> None:
    def count(**labels: str) -> float:
        return story.after.value("fluid_requests_total", **labels)

    assert count(model=ECHO, ability="chat", outcome="ok") == 4
    assert count(model=ECHO, ability="chat", outcome="cancelled") == 1
    assert count(model=UNLOADABLE, ability="chat", outcome="model_load_failed") == 2
    assert count(model=UNLOADABLE) == 2
    assert count(model=ECHO) == 5
    assert story.after.value("fluid_request_duration_seconds_count", model=ECHO) == 5


def test_tokens_are_those_of_the_answers(story: Story) -> None:
    assert len(story.usages) == 4
    prompt, completion = (
        sum(getattr(usage, f"{kind}_tokens") for usage in story.usages) for kind in ("prompt", "completion")
    )
    assert story.after.value("fluid_prompt_tokens_total", model=ECHO) == prompt
    assert story.after.value("fluid_completion_tokens_total", model=ECHO) == completion == 3 + 4 + 4 + 3
    assert story.after.value("fluid_cached_prompt_tokens_total", model=ECHO) == 0


def test_waits_and_latencies_are_measured(story: Story) -> None:
    assert story.after.value("fluid_queue_wait_seconds_count", model=ECHO) == 5
    assert story.after.value("fluid_queue_wait_seconds_sum", model=ECHO) > 0
    assert story.after.value("fluid_time_to_first_token_seconds_count", model=ECHO) == 5
    assert story.after.value("fluid_inter_token_latency_seconds_count", model=ECHO) > 0
    assert story.after.value("fluid_time_to_first_token_seconds_count", model=UNLOADABLE) == 0


def test_http_requests_are_counted_by_route(story: Story) -> None:
    def count(route: str, status: int, method: str = "GET") -> float:
        return story.after.value("fluid_http_requests_total", method=method, route=route, status=status)

    for status in (200, 400, 404, 503):
        assert count(CHAT, status, "POST") == story.chats.count(status)
    assert count("/v1/models/{model}", 404) == 3
    assert count("none", 404) == 3
    assert count("none", 401) == 1
    assert count("/health", 405, "other") == 3
    assert count(TRANSCRIPTIONS, 400, "POST") == 1


def test_loads_unloads_and_failures_are_counted(story: Story) -> None:
    after = story.after
    assert after.value("fluid_model_loads_total", model=ECHO, runtime="echo", device="CPU") == 1
    assert after.value("fluid_model_load_seconds_count", model=ECHO) == 1
    assert after.value("fluid_model_unloads_total", model=ECHO, reason="asked") == 1
    assert after.value("fluid_model_failures_total", model=UNLOADABLE, reason="model_load_failed") == 1
    assert after.value("fluid_model_failures_total") == 1
    assert after.value("fluid_model_loads_total", model=UNLOADABLE) == 0


@with_openvino
def test_a_transcription_and_the_eviction_that_follows_are_counted(story: Story) -> None:
    after = story.after
    assert after.value("fluid_requests_total", model=WHISPER, ability="transcription", outcome="ok") == 1
    assert after.value("fluid_audio_seconds_total") == pytest.approx(story.seconds, abs=0.001)
    assert story.seconds > 0.5
    assert after.value("fluid_model_unloads_total", model=WHISPER, reason="evicted") == 1
    assert after.value("fluid_model_evictions_total") == 1


def test_a_download_is_counted(story: Story) -> None:
    assert story.after.value("fluid_download_bytes_total") == story.downloaded
    assert story.after.value("fluid_downloads_total", outcome="completed") == 1
    assert story.after.value("fluid_downloads_total") == 1
    assert story.after.value("fluid_download_jobs") == 0


# --- what is so now ------------------------------------------------------------------------------------------


def test_a_running_and_a_waiting_request_show(story: Story) -> None:
    during = story.during
    assert during.value("fluid_requests_running") == during.value("fluid_requests_running", model=ECHO) == 1
    assert during.value("fluid_requests_waiting") == during.value("fluid_requests_waiting", model=ECHO) == 1
    assert during.value("fluid_requests_loading") == 0
    assert during.value("fluid_model_memory_bytes", model=ECHO) > 1_000_000
    assert during.value("fluid_model_places", model=ECHO) == 1


def test_every_model_is_in_one_state(story: Story) -> None:
    for model in story.after.values_of("model"):
        assert story.after.value("fluid_model_state", model=model) == 1
    assert story.during.value("fluid_model_state", model=ECHO, state="ready") == 1
    assert story.after.value("fluid_model_state", model=ECHO, state="absent") == 1
    assert story.after.value("fluid_model_state", model=UNLOADABLE, state="failed") == 1
    assert story.after.value("fluid_model_memory_bytes") == 0
    assert story.after.value("fluid_requests_running") == story.after.value("fluid_requests_waiting") == 0


def test_a_model_that_is_known_begins_at_0(story: Story) -> None:
    evictions = {one.labels["model"]: one.value for one in story.after.families["fluid_model_evictions_total"].samples}
    assert evictions[ECHO] == evictions[UNLOADABLE] == 0
