"""The catalog as the manager keeps it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from fluid_server.managers.library import Library
from tests.awaited import awaited, turns
from tests.front_door import MODELS

TINY = "fluid-tiny-ov"


@pytest.mark.parametrize("late", range(6))
@awaited
async def test_a_scan_whose_asker_has_left_is_none_for_those_who_waited_for_it(tmp_path: Path, late: int) -> None:
    library = Library(tmp_path, echo=False)
    assert await library.specs() == ()
    async with library.changing():
        first, second = [asyncio.ensure_future(library.specs(fresh=True)) for _ in range(2)]
        await turns(1)
        shutil.copytree(MODELS / "llm" / TINY, tmp_path / TINY)
    await turns(late)
    first.cancel()
    assert [spec.id for spec in await second] == [TINY]
