"""Which installed packages the program needs, with all that they need in turn; everything else stays out of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed(name: str) -> Distribution | None:
    """The installed package of that name; None where it is not here."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def closure(requirement: str, *, without: Collection[str] = ()) -> frozenset[str]:
    """The installed packages that this one needs, itself included, by their canonical names.

    ``requirement`` may name extras (``fluid-server[qnn]``). What a marker excludes or nobody installed is left out, and
    so are the packages ``without``, with what only they need.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = list(_with_extras(Requirement(requirement)))
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or name in without or (dist := installed(name)) is None:
            continue
        seen.add((name, extra))
        found.add(name)
        for text in dist.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += _with_extras(needed)
    return frozenset(found)


def missing(package: str, extra: str) -> list[str]:
    """What an extra names for this platform and is not installed."""
    dist = installed(package)
    needed = [Requirement(text) for text in (dist.requires if dist else None) or ()]
    return [
        one.name
        for one in needed
        if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
        if installed(one.name) is None
    ]


def _with_extras(requirement: Requirement) -> Iterator[tuple[str, str]]:
    name = canonicalize_name(requirement.name)
    yield name, ""
    for extra in requirement.extras:
        yield name, extra


def modules_of(names: Collection[str]) -> frozenset[str]:
    """The top-level modules that these packages bring."""
    return frozenset(module for module, owners in _owners().items() if owners & set(names))


def modules_of_others(names: Collection[str]) -> frozenset[str]:
    """The top-level modules of everything else that is installed: what must not be in the program."""
    return frozenset(module for module, owners in _owners().items() if not owners & set(names))


@cache
def _owners() -> Mapping[str, set[str]]:
    """The packages of each module: reading all of them takes half a second."""
    return {
        module: {canonicalize_name(owner) for owner in owners} for module, owners in packages_distributions().items()
    }
