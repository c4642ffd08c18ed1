"""Which of a repository's GGUF files make the model that is wanted. Pure: names and sizes go in, names come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fluid_server.catalog.ggml import preference, quantization_in
from fluid_server.catalog.gguf_names import SUFFIX, is_projector, joined, projector_preference
from fluid_server.errors import InvalidRequest

_SHOWN = 30
_NO_MODEL = "imatrix"


@dataclass(frozen=True, slots=True)
class Weights:
    """One model of a repository: its files, every part of a split among them, and what they are together."""

    names: tuple[str, ...]
    stem: str
    size: int

    @property
    def base(self) -> str:
        """The stem without its folder."""
        return self.stem.rpartition("/")[2]

    @property
    def quantization(self) -> str | None:
        """What the name ends in, or that of its folder."""
        return quantization_in(self.base) or quantization_in(self.folder)

    @property
    def folder(self) -> str:
        """The folder that it lies in."""
        return self.stem.rpartition("/")[0].rpartition("/")[2]

    @property
    def label(self) -> str:
        """What it is called among the models of its repository."""
        return self.quantization or self.base

    def places(self) -> dict[str, str]:
        """Where each file goes. The quantisation that only the folder tells becomes part of the name."""
        base = self.base if quantization_in(self.base) or not self.quantization else f"{self.base}-{self.quantization}"
        return {name: base + name[len(self.stem) :] for name in self.names}


def models_in(sizes: Mapping[str, int]) -> list[Weights]:
    """The models of a repository, given the sizes of its files by name; projectors among them."""
    found = (
        Weights(names, stem, sum(sizes.get(name, 0) for name in names))
        for names, stem in joined(sizes).items()
        if _NO_MODEL not in stem.lower()
    )
    return sorted(found, key=lambda each: (each.stem.count("/"), each.stem))


def pick(repo: str, sizes: Mapping[str, int], *, quantization: str | None, file: str | None) -> dict[str, str]:
    """The files of the model that is wanted and its projector, each with the name it gets. InvalidRequest if none."""
    every = models_in(sizes)
    models = [each for each in every if not is_projector(each.base)]
    chosen = _by_file(repo, every, file) if file else _by_quantization(repo, models, quantization)
    absent = [name for name in chosen.names if name not in sizes]
    if absent:
        raise InvalidRequest(
            f"'{repo}' lacks {absent[0]}, so {chosen.label} is not whole. Ask for another quantisation: "
            f"{_listed([each for each in models if each is not chosen])}.",
            param="model",
        )
    projectors = [each for each in every if is_projector(each.base) and all(name in sizes for name in each.names)]
    if is_projector(chosen.base) or not projectors:
        return chosen.places()
    best = min(projectors, key=lambda each: (projector_preference(each.quantization), each.size, each.stem))
    return chosen.places() | best.places()


def _by_file(repo: str, models: Sequence[Weights], file: str) -> Weights:
    """The model that has this file: by its path, or by its name alone."""
    wanted = file.casefold()
    by_path = [each for each in models if wanted in (name.casefold() for name in each.names)]
    by_name = [each for each in models if wanted in (name.rpartition("/")[2].casefold() for name in each.names)]
    if found := by_path or by_name:
        return _only(repo, found)
    raise InvalidRequest(f"'{repo}' has no file '{file}'. It has: {_listed(models)}.", param="model")


def _by_quantization(repo: str, models: Sequence[Weights], quantization: str | None) -> Weights:
    if not models:
        raise InvalidRequest(f"'{repo}' has no GGUF model, only what belongs to one.", param="model")
    if quantization is None:
        best = min(models, key=_rank)
        return _only(repo, [each for each in models if each.label == best.label])
    wanted = quantization.casefold()
    exact = [each for each in models if each.label.casefold() == wanted]
    endings = tuple(f"{mark}{wanted}" for mark in "-._")
    if found := exact or [each for each in models if each.base.casefold().endswith(endings)]:
        return _only(repo, found)
    raise InvalidRequest(f"'{repo}' has no quantisation '{quantization}'. It has: {_listed(models)}.", param="model")


def _rank(weights: Weights) -> tuple[int, int, str]:
    """What the bare name means: the preferred quantisation, else the largest known one, else the smallest file."""
    size = -weights.size if weights.quantization else weights.size
    return preference(weights.quantization), size, weights.label


def _only(repo: str, found: Sequence[Weights]) -> Weights:
    """The one that lies least deep. Several there are different models, and nobody can tell which is meant."""
    highest = [each for each in found if each.stem.count("/") == found[0].stem.count("/")]
    if len(highest) == 1:
        return highest[0]
    names = ", ".join(f"'{repo}/{each.names[0]}'" for each in highest[:_SHOWN])
    raise InvalidRequest(f"'{repo}' has several models of this kind. Name the file: {names}.", param="model")


def _listed(models: Iterable[Weights]) -> str:
    """Their labels and sizes, for people to choose from."""
    whole = [f"{each.label} ({_size(each.size)})" for each in models]
    return ", ".join(whole[:_SHOWN]) + (" …" if len(whole) > _SHOWN else "") if whole else f"no other {SUFFIX} file"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
