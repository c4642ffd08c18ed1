"""The server's transcripts, asked for as any client would."""

from __future__ import annotations

import httpx
import openai
from openai.types.audio import TranscriptionVerbose


class Listener:
    """One model of one server. A file is its bytes and the suffix of its name."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=3600)

    def text(self, data: bytes, suffix: str, language: str = "en") -> str:
        """The transcript; the language is told, so that only the words are measured."""
        file = (f"speech.{suffix}", data)
        return self._client.audio.transcriptions.create(model=self._model, file=file, language=language).text

    def verbose(self, data: bytes, suffix: str, language: str | None = None) -> TranscriptionVerbose:
        """Text, language, and segments with their times."""
        file, told = (f"speech.{suffix}", data), language or openai.omit
        return self._client.audio.transcriptions.create(
            model=self._model, file=file, response_format="verbose_json", language=told
        )

    def translated(self, data: bytes, suffix: str) -> str:
        """In English. OpenAI's client can ask for it, and warns that it is deprecated there."""
        address, file = f"{self._url}/v1/audio/translations", (f"speech.{suffix}", data)
        answer = httpx.post(address, data={"model": self._model}, files={"file": file}, timeout=3600)
        return str(answer.raise_for_status().json()["text"])
