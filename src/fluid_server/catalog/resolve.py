"""Finds the model that a client means by a name. Names are compared, never turned into paths."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence

from fluid_server.catalog.ggml import quantization_in
from fluid_server.errors import ModelFailed, ModelNotFound
from fluid_server.types import Format, ModelSpec

LATEST = ":latest"
MAX_NAME = 512
_SHOWN = 80
_FILE_DEPTH = 3


def resolve(specs: Sequence[ModelSpec], name: str) -> ModelSpec:
    """The model of that name: its id, an alias, either in other letter case, its quantisation or its file.

    ``name:latest`` means ``name``. ModelNotFound if there is none, ModelFailed if it is broken.
    """
    spec = find(specs, name)
    if spec.problem is not None:
        raise ModelFailed(f"Model '{spec.id}' cannot be used: {spec.problem}.", param="model")
    return spec


def find(specs: Sequence[ModelSpec], name: str) -> ModelSpec:
    """The same, broken models included. ModelNotFound if there is none."""
    spec = _find(specs, name) if len(name) <= MAX_NAME else None
    if spec is None:
        raise ModelNotFound(_not_found(specs, name), param="model")
    return spec


def meant(specs: Iterable[ModelSpec], name: str) -> list[ModelSpec]:
    """All that a name without a quantisation may mean, where it is nobody's id: ``find`` takes the usual one."""
    known = list(specs)
    wanted = name.removesuffix(LATEST).casefold()
    if any(wanted == spec.id.casefold() for spec in known):
        return []
    return [spec for spec in known if wanted in {each.casefold().partition(":")[0] for each in _names(spec)}]


def _find(specs: Sequence[ModelSpec], name: str) -> ModelSpec | None:
    for wanted in dict.fromkeys((name, name.removesuffix(LATEST))):
        for matches in _MATCHERS:
            for spec in specs:
                if matches(spec, wanted):
                    return spec
    return None


def _is_id(spec: ModelSpec, name: str) -> bool:
    return spec.id == name


def _is_alias(spec: ModelSpec, name: str) -> bool:
    return name in spec.aliases


def _is_name_in_other_case(spec: ModelSpec, name: str) -> bool:
    return name.casefold() in (known.casefold() for known in _names(spec))


def _is_quantization(spec: ModelSpec, name: str) -> bool:
    """``owner/repo:Q4_K_M``, also where the repository has only this one."""
    base, _, wanted = name.casefold().rpartition(":")
    if not base or wanted not in (label.casefold() for label in _quantizations(spec)):
        return False
    return base in (known.casefold().partition(":")[0] for known in _names(spec))


def _quantizations(spec: ModelSpec) -> Iterator[str]:
    """What the file says it is, and what its name says: a UD-Q4_K_XL calls itself Q4_K_M inside."""
    yield spec.quantization or ""
    if spec.format is Format.GGUF and spec.files:
        yield quantization_in(spec.files[0].stem) or ""


def _is_file(spec: ModelSpec, name: str) -> bool:
    """``file.gguf``, ``folder/file.gguf`` or ``owner/repo/file.gguf``."""
    wanted = tuple(name.casefold().split("/"))
    if len(wanted) > _FILE_DEPTH or not wanted[-1].endswith(".gguf"):
        return False
    return any(tuple(part.casefold() for part in file.parts[-len(wanted) :]) == wanted for file in spec.files)


_MATCHERS: tuple[Callable[[ModelSpec, str], bool], ...] = (
    _is_id,
    _is_alias,
    _is_name_in_other_case,
    _is_quantization,
    _is_file,
)


def _names(spec: ModelSpec) -> tuple[str, ...]:
    return spec.id, *spec.aliases


def _not_found(specs: Sequence[ModelSpec], name: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN])
    shown += "…" if len(name) > _SHOWN else ""
    close = " or ".join(f"'{each}'" for each in _close(specs, name[:_SHOWN]))
    hint = f" Did you mean {close}?" if close else ""
    return f"There is no model '{shown}'.{hint} 'fluid-server list' shows what is there."


def _close(specs: Iterable[ModelSpec], name: str) -> list[str]:
    """Up to three ids that look like the name, or whose aliases do."""
    ids = {known.casefold(): spec.id for spec in specs for known in reversed(_names(spec))}
    wanted = name.casefold()
    found = difflib.get_close_matches(wanted, ids, n=6, cutoff=0.6)
    found += difflib.get_close_matches(wanted.rpartition("/")[2], ids, n=3, cutoff=0.6)
    return list(dict.fromkeys(ids[known] for known in found))[:3]
