"""The contract of AI Hub's Whisper, read from two graphs: every size and name that the rest works with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from fluid_server.content.log_mel import FRAMES
from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_border import Border

MEL_BANDS = (80, 128)
_SELF = re.compile(r"([kv])_cache_self_(\d+)_in")
WHOSE = "This is not a Whisper as Qualcomm AI Hub exports it."


@dataclass(frozen=True, slots=True)
class Passed:
    """A tensor that goes out of a graph and, as it is or encoded anew, into the next call."""

    out: Border
    into: Border


@dataclass(frozen=True, slots=True)
class Contract:
    """``cross`` goes from the encoder to each step of the decoder, ``own`` from one step to the next.

    ``places`` is how many tokens the decoder has room for, the prompt included.
    """

    features: Border
    ids: Border
    mask: Border
    position: Border
    logits: Border
    cross: tuple[Passed, ...]
    own: tuple[Passed, ...]

    @property
    def bands(self) -> int:
        """Mel bands that the encoder hears."""
        return self.features.shape[1]

    @property
    def places(self) -> int:
        """Tokens that fit into the decoder."""
        return self.mask.shape[-1]

    @property
    def vocabulary(self) -> int:
        """Tokens that the model can write."""
        return prod(self.logits.shape)


@dataclass(frozen=True, slots=True)
class Half:
    """One graph's inputs and outputs by name."""

    name: str
    inputs: Mapping[str, Border]
    outputs: Mapping[str, Border]

    def input(self, name: str) -> Border:
        """Errors: EngineFailed that says what there is instead."""
        return _found(self.name, "input", self.inputs, name)

    def output(self, name: str) -> Border:
        """Errors: EngineFailed that says what there is instead."""
        return _found(self.name, "output", self.outputs, name)


def read_contract(encoder: Half, decoder: Half) -> Contract:
    """Errors: EngineFailed that names what is missing or does not fit together."""
    caches = sorted((int(match[2]), match[1]) for name in decoder.inputs if (match := _SELF.fullmatch(name)))
    if not caches:
        raise EngineFailed(f"The decoder has no input like 'k_cache_self_0_in'. {WHOSE}")
    contract = Contract(
        features=encoder.input("input_features"),
        ids=decoder.input("input_ids"),
        mask=decoder.input("attention_mask"),
        position=decoder.input("position_ids"),
        logits=decoder.output("logits"),
        cross=tuple(_cross(encoder, decoder, f"{part}_cache_cross_{layer}") for layer, part in caches),
        own=tuple(_own(decoder, f"{part}_cache_self_{layer}") for layer, part in caches),
    )
    _check_sizes(contract)
    return contract


def _cross(encoder: Half, decoder: Half, name: str) -> Passed:
    return Passed(encoder.output(name), decoder.input(name))


def _own(decoder: Half, name: str) -> Passed:
    return Passed(decoder.output(f"{name}_out"), decoder.input(f"{name}_in"))


def _found(half: str, kind: str, borders: Mapping[str, Border], name: str) -> Border:
    if name not in borders:
        there = ", ".join(list(borders)[:6])
        raise EngineFailed(f"The {half} has no {kind} '{name}'; there is: {there}. {WHOSE}")
    return borders[name]


def _check_sizes(contract: Contract) -> None:
    shape = contract.features.shape
    if len(shape) != 3 or shape[1] not in MEL_BANDS or shape[2] != FRAMES:
        expected = f"(1, {' or '.join(map(str, MEL_BANDS))}, {FRAMES})"
        raise EngineFailed(f"The encoder's 'input_features' is {shape} and not {expected}. {WHOSE}")
    for passed in (*contract.cross, *contract.own):
        if passed.out.shape != passed.into.shape:
            raise EngineFailed(
                f"'{passed.out.name}' is {passed.out.shape} and '{passed.into.name}' {passed.into.shape}: "
                "encoder and decoder are not of the same model."
            )
    for passed in contract.own:
        length = passed.into.shape[-1 if passed.into.name.startswith("k") else -2]
        if length != contract.places - 1:
            raise EngineFailed(
                f"'{passed.into.name}' holds {length} places and 'attention_mask' {contract.places}: "
                "the mask must have one more."
            )
