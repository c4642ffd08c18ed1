"""LoRAs over the demo model, with both drivers: random ones, that change what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.make_model import packed, write
from fluid_server.catalog.scan import scan
from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp import Way
from fluid_server.types import ModelSpec
from tests.runtimes.engines import SPECS
from tests.runtimes.llamacpp import NATIVE, PREBUILT, STORY, Desk

PLAIN = SPECS["fluid-tiny-gguf:F16"]
RANK = 4
WIDTH = 192


@pytest.fixture(params=[NATIVE, PREBUILT], ids=["native", "prebuilt"])
def way(request: pytest.FixtureRequest) -> Way:
    for module in request.param.modules:
        pytest.importorskip(module, reason=f"{module} is not installed, or has no wheel for this platform")
    return request.param  # type: ignore[no-any-return]


def adapted(folder: Path, scale: float, *, width: int = WIDTH) -> ModelSpec:
    """The demo model with a LoRA over its first layer, as the catalog finds both in a folder."""
    place = folder / "llm" / "adapted"
    place.mkdir(parents=True)
    shutil.copy(PLAIN.path, place / "base.gguf")
    draw = np.random.default_rng(3)
    shapes = {"lora_a": (RANK, width), "lora_b": (width, RANK)}
    tensors = {
        f"blk.0.attn_output.weight.{name}": packed(draw.standard_normal(shape, dtype=np.float32), "F32")
        for name, shape in shapes.items()
    }
    header = {
        "general.type": "adapter",
        "general.architecture": str(PLAIN.architecture),
        "adapter.type": "lora",
        "adapter.lora.alpha": float(RANK),
    }
    write(place / "tales.gguf", header, tensors)
    described = {"adapters": [{"file": "tales.gguf", "scale": scale}]}
    (place / "fluid.json").write_text(json.dumps(described), encoding="utf-8")
    (spec,) = scan(folder)
    return spec


def said(spec: ModelSpec, way: Way) -> str:
    desk = Desk(spec, way=way)
    text = desk.ask(STORY, max_tokens=20).text
    desk.driver.close()
    return text


def test_an_adapter_changes_what_a_model_says_as_strongly_as_its_scale(way: Way, tmp_path: Path) -> None:
    texts = [said(adapted(tmp_path / str(scale), scale), way) for scale in (0.0, 1.0)]
    assert texts[0] == said(PLAIN, way)
    assert texts[1] != texts[0]


def test_an_adapter_that_does_not_fit_is_said_to_be_the_reason(way: Way, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"adapter|load the model"):
        Desk(adapted(tmp_path, 1.0, width=WIDTH + 32), way=way)
