"""Tensors as a graph's border wants them: float16, float32, or integers that stand for floats by scale and zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fluid_server.errors import EngineFailed

TYPES: Mapping[str, np.dtype[Any]] = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in {
        "float": "float32", "float16": "float16", "int32": "int32", "int64": "int64",
        "uint8": "uint8", "int8": "int8", "uint16": "uint16", "int16": "int16",
    }.items()
}  # fmt: skip
SHORT = frozenset({"uint8", "int8", "uint16", "int16"})  # whole numbers of these types stand for floats


class Declared(Protocol):
    """An input or output as onnxruntime's session declares it."""

    name: str
    type: str
    shape: list[Any]


@dataclass(frozen=True, slots=True)
class Border:
    """One input or output. Quantised where ``scale`` is not 0: then it holds ``value / scale + zero_point``."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    def encode(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Floats as this border takes them; what is out of range is clipped."""
        if not self.scale:
            return np.ascontiguousarray(values, dtype=self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(values / self.scale) + self.zero_point
        encoded: npt.NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(self.dtype)
        return encoded

    def decode(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """What comes from this border, as floats."""
        floats = values.astype(np.float32)
        return (floats - np.float32(self.zero_point)) * np.float32(self.scale) if self.scale else floats

    def filled(self, value: float) -> npt.NDArray[Any]:
        """A tensor of one value everywhere."""
        return np.full(self.shape, self.encode(np.float32(value).reshape(1))[0], self.dtype)

    def holds_the_same_as(self, other: Border) -> bool:
        """Whether tensors can go from the one to the other untouched."""
        mine = (self.shape, self.dtype, self.scale, self.zero_point)
        return mine == (other.shape, other.dtype, other.scale, other.zero_point)


def borders(half: str, declared: list[Declared], quantisation: Mapping[str, Any]) -> dict[str, Border]:
    """By name. ``quantisation`` is a part of metadata.json: name → {"quantization_parameters": {scale, zero_point}}.

    Errors: EngineFailed for a size that is not fixed, a type that is not known, or a scale that is not told.
    """
    return {one.name: _border(half, one, quantisation.get(one.name, {})) for one in declared}


def _border(half: str, declared: Declared, told: Mapping[str, Any]) -> Border:
    shape = tuple(one for one in declared.shape if isinstance(one, int) and one > 0)
    if len(shape) != len(declared.shape):
        raise EngineFailed(
            f"The {half}'s '{declared.name}' has a size that is not fixed ({declared.shape}): "
            "export the model with static shapes."
        )
    if (dtype := TYPES.get(declared.type)) is None:
        raise EngineFailed(f"The {half}'s '{declared.name}' is of type {declared.type}, which is not known here.")
    if dtype.name not in SHORT:
        return Border(declared.name, shape, dtype)
    parameters = told.get("quantization_parameters") or {}
    scale, zero_point = parameters.get("scale"), parameters.get("zero_point")
    if not isinstance(scale, int | float) or not scale > 0 or not isinstance(zero_point, int):
        raise EngineFailed(
            f"The {half}'s '{declared.name}' is quantised ({dtype.name}), and no metadata.json beside the chipset's "
            "graphs tells its scale and zero_point: copy the one of the download there."
        )
    return Border(declared.name, shape, dtype, float(scale), zero_point)
