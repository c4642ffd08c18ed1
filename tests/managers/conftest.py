"""The Hub that downloads are tested with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub_server import HubServer
from tests.managers.downloads import BIG, GGUF, OPENVINO, TINY


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with the demo models, which this process uses."""
    with HubServer() as running:
        running.use(monkeypatch)
        running.add(TINY, OPENVINO)
        running.add(BIG, GGUF)
        yield running
