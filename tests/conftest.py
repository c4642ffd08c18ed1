"""One server for the whole run, and two clients of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, settings

from tests.front_door import ENGINE_OF, RunningServer

# As in workers, for the tests that import engines in this process: no telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ABSENT: dict[str, Any] = {"openvino_telemetry": None}
sys.modules.update(ABSENT)

# The same examples in every run, however long a busy machine takes for one. New ones: --hypothesis-profile search
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("same")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is tried with a model whose engine has no wheel on this platform is skipped, saying so."""
    tried = getattr(item, "callspec", None)
    for value in tried.params.values() if tried else ():
        engine = ENGINE_OF.get(value) if isinstance(value, str) else None
        if engine is not None and find_spec(engine) is None:
            pytest.skip(f"{engine} has no wheel for this platform")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the demo models and echo; nothing is loaded before a test asks for it."""
    flags = ("--echo", "--no-warm-up", "--idle-timeout", "0")
    with RunningServer.start(*flags, folder=tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with server.official() as connected:
        yield connected


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.plain() as connected:
        yield connected
