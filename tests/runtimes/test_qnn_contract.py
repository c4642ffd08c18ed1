"""AI Hub's contract, read from two graphs: what fits, and what is said where something does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_border import Border
from fluid_server.runtimes.qnn_contract import Contract, Half, read_contract

HALF = np.dtype("float16")
Shapes = dict[str, tuple[int, ...]]


def turbo() -> tuple[Shapes, Shapes, Shapes, Shapes]:
    """Inputs and outputs of whisper-large-v3-turbo's encoder and decoder as published: 4 layers, 20 heads of 64."""
    cross: Shapes = {}
    into: Shapes = {"input_ids": (1, 1), "attention_mask": (1, 1, 1, 200), "position_ids": (1,)}
    out: Shapes = {"logits": (1, 51_866, 1, 1)}
    for layer in range(4):
        cross |= {f"k_cache_cross_{layer}": (20, 1, 64, 1500), f"v_cache_cross_{layer}": (20, 1, 1500, 64)}
        for part, shape in (("k", (20, 1, 64, 199)), ("v", (20, 1, 199, 64))):
            into[f"{part}_cache_self_{layer}_in"] = shape
            out[f"{part}_cache_self_{layer}_out"] = shape
    return {"input_features": (1, 128, 3000)}, dict(cross), {**into, **cross}, out


def read(heard: Shapes, cross: Shapes, into: Shapes, out: Shapes) -> Contract:
    def borders(shapes: Shapes) -> dict[str, Border]:
        return {name: Border(name, shape, HALF) for name, shape in shapes.items()}

    return read_contract(Half("encoder", borders(heard), borders(cross)), Half("decoder", borders(into), borders(out)))


def test_every_size_comes_from_the_graphs() -> None:
    contract = read(*turbo())
    assert (contract.bands, contract.places, contract.vocabulary) == (128, 200, 51_866)
    assert [one.into.name for one in contract.own][:3] == [
        "k_cache_self_0_in",
        "v_cache_self_0_in",
        "k_cache_self_1_in",
    ]
    assert len(contract.cross) == len(contract.own) == 8
    assert contract.own[-1].out.name == "v_cache_self_3_out"


def test_ten_layers_and_more_are_in_the_order_of_their_numbers() -> None:
    heard, cross, into, out = turbo()
    for layer in range(4, 12):
        for part in "kv":
            for shapes, name in ((cross, "cross_{}"), (into, "cross_{}"), (into, "self_{}_in"), (out, "self_{}_out")):
                shapes[f"{part}_cache_{name.format(layer)}"] = shapes[f"{part}_cache_{name.format(0)}"]
    assert [one.into.name for one in read(heard, cross, into, out).own][-4] == "k_cache_self_10_in"


def renamed(half: int, name: str) -> Callable[[tuple[Shapes, ...]], None]:
    def change(shapes: tuple[Shapes, ...]) -> None:
        shapes[half]["another"] = shapes[half].pop(name)

    return change


def reshaped(half: int, name: str, shape: tuple[int, ...]) -> Callable[[tuple[Shapes, ...]], None]:
    def change(shapes: tuple[Shapes, ...]) -> None:
        shapes[half][name] = shape

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (renamed(0, "input_features"), "The encoder has no input 'input_features'; there is: another"),
        (renamed(1, "k_cache_cross_2"), "The encoder has no output 'k_cache_cross_2'"),
        (renamed(2, "attention_mask"), "The decoder has no input 'attention_mask'"),
        (renamed(3, "logits"), "The decoder has no output 'logits'"),
        (reshaped(0, "input_features", (1, 3000, 128)), r"'input_features' is \(1, 3000, 128\) and not \(1, 80 or 128"),
        (reshaped(1, "v_cache_cross_0", (12, 1, 1500, 64)), "encoder and decoder are not of the same model"),
        (reshaped(2, "attention_mask", (1, 1, 1, 199)), "holds 199 places and 'attention_mask' 199"),
    ],
)
def test_what_is_not_such_a_whisper_is_refused(change: Callable[[tuple[Shapes, ...]], None], reason: str) -> None:
    shapes = turbo()
    change(shapes)
    with pytest.raises(EngineFailed, match=reason):
        read(*shapes)


def test_a_decoder_without_caches_is_refused() -> None:
    heard, cross, _, out = turbo()
    with pytest.raises(EngineFailed, match="no input like 'k_cache_self_0_in'"):
        read(heard, cross, {"input_ids": (1, 1)}, out)
