"""The demo Whisper in Qualcomm's form through the front door: here on onnxruntime's CPU provider."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.front_door import AUDIO, QNN_WHISPER

pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")


@pytest.mark.parametrize(
    ("name", "text"), [("kitchen-light", "Turn on the kitchen light."), ("bonjour", "Bonjour le monde.")]
)
def test_speech_is_written_down(client: openai.OpenAI, name: str, text: str) -> None:
    with (AUDIO / f"{name}.wav").open("rb") as file:
        assert client.audio.transcriptions.create(model=QNN_WHISPER, file=file).text == text


def test_its_worker_says_what_it_runs_on(client: openai.OpenAI, http: httpx.Client) -> None:
    with (AUDIO / "hello.wav").open("rb") as file:
        client.audio.transcriptions.create(model=QNN_WHISPER, file=file)
    model = http.get(f"/v1/models/{QNN_WHISPER}").json()
    assert (model["runtime"], model["device"], model["notes"]) == ("qnn-whisper", "CPU", ["graphs: cpu"])
