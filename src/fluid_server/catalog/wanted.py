"""From the name of a model on the Hub to the files that are fetched, and where they go. Pure: nothing is asked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fluid_server.catalog.gguf_names import SUFFIX
from fluid_server.catalog.gguf_pick import pick
from fluid_server.catalog.openvino import LAYOUTS, MODEL_INDEX
from fluid_server.catalog.pooling import CONFIG, MODULES, POOLING_FOLDER
from fluid_server.catalog.portable import is_portable_name, is_portable_path
from fluid_server.catalog.presets import suggest
from fluid_server.catalog.qnn import HALVES, METADATA
from fluid_server.catalog.remote import Listing, RemoteFile
from fluid_server.catalog.resolve import LATEST, MAX_NAME
from fluid_server.catalog.scan import CACHE
from fluid_server.errors import InvalidRequest
from fluid_server.types import Format

MAX_REPO = 96
_SHOWN = 80
SIDECARS = (
    "config.json", "generation_config.json", "openvino_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "normalizer.json", "chat_template.jinja", "chat_template.json",
    "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json", "scheduler_config.json",
    MODULES,
)  # fmt: skip
"""The small files that runtimes and the catalog read beside OpenVINO and QNN weights."""

GRAPHS = ("openvino_*.xml", "openvino_*.bin")
VOICES = ("voices/*.bin", "data/*.json")
"""What Kokoro reads besides: its voices, and how words are spoken."""

POOLING = (f"{POOLING_FOLDER}/{CONFIG}",)
"""What an embedding model says of how its vectors are put together, besides MODULES."""

BESIDE_GGUF = ("generation_config.json", "chat_template.jinja", "chat_template.json")

_PYTORCH = (".safetensors", ".pt", ".pth", ".ckpt", "pytorch_model.bin")
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)
_PAGE = re.compile(r"([^/]+/[^/]+)/(?:tree|blob|resolve)/([^/]+)")
_AFTER_PAGE = re.compile(r"[?#].*", re.DOTALL)
_NAME = re.compile(
    r"(?P<repo>[^/@:]+/[^/@:]+)"
    r"(?:@(?P<revision>refs/[^/@:]+/[^/@:]+|[^/@:]+))?"
    r"(?:/(?P<file>[^@:]+)|:(?P<quantization>[^/@:]+))?"
)
_REPO_PART = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)
_QUANTIZATION = re.compile(r"[\w.-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a name asks for: a repository, and perhaps one quantisation or file of it."""

    repo: str
    revision: str = "main"
    quantization: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is fetched. ``folder`` lies below the models folder; ``files`` have their places below ``folder``."""

    format: Format
    folder: str
    files: tuple[tuple[RemoteFile, str], ...]

    @property
    def size_bytes(self) -> int:
        """What all files take."""
        return sum(file.size for file, _ in self.files)


def parse(name: str) -> Wanted:
    """Read ``owner/repo``, ``owner/repo:Q4_K_M`` or ``owner/repo/file.gguf``, each with ``@revision`` after the repo.

    An address of the Hub's site will do as well. InvalidRequest if it is none of them.
    """
    found = _NAME.fullmatch(_plain(name)) if len(name) <= MAX_NAME else None
    if found is None:
        raise _no_name()
    wanted = Wanted(
        repo=found["repo"],
        revision=found["revision"] or "main",
        quantization=found["quantization"],
        file=found["file"],
    )
    _check(wanted)
    return wanted


def _plain(name: str) -> str:
    """The name without the Hub's address before it, and without ``:latest``."""
    name = name.strip()
    if address := _ADDRESS.match(name):
        page = _AFTER_PAGE.sub("", name[address.end() :]).rstrip("/")
        name = _PAGE.sub(r"\1@\2", page, count=1)
    return name.rstrip("/").removesuffix(LATEST)


def _check(wanted: Wanted) -> None:
    owner, _, repo = wanted.repo.partition("/")
    if not _is_repo(wanted.repo) or (wanted.quantization and not _QUANTIZATION.fullmatch(wanted.quantization)):
        raise _no_name()
    if not _REVISION.fullmatch(wanted.revision) or ".." in wanted.revision:
        raise InvalidRequest("A revision is a branch, tag or commit: letters, digits and . _ - only.", param="model")
    if wanted.file and not is_portable_path(wanted.file):
        raise _no_name()
    if wanted.file and not wanted.file.lower().endswith(SUFFIX):
        raise InvalidRequest(
            f"Of a repository's files only {SUFFIX} ones can be had one by one. Ask for '{wanted.repo}'.", param="model"
        )
    reserved = [
        part for part in (owner, repo) if not is_portable_name(part) or (part is owner and part.lower() == CACHE)
    ]
    if reserved:
        raise InvalidRequest(
            f"'{reserved[0].partition('.')[0]}' is a reserved word: no folder of that name can be kept here. Fetch the "
            "files by hand, into a folder of another name.",
            param="model",
        )


def _is_repo(repo: str) -> bool:
    """The Hub's own rules."""
    return (
        len(repo) <= MAX_REPO
        and all(_REPO_PART.fullmatch(part) for part in repo.split("/"))
        and "--" not in repo
        and ".." not in repo
        and not repo.endswith(".git")
    )


def _no_name() -> InvalidRequest:
    return InvalidRequest(
        "This is no name of a model on the Hub. It is like 'owner/repo', 'owner/repo:Q4_K_M' for one quantisation of a "
        "GGUF repository, 'owner/repo/file.gguf' for one file, and 'owner/repo@revision' for a branch, tag or commit.",
        param="model",
    )


def unknown(name: str) -> InvalidRequest:
    """What to say of a name without a slash that nobody knows."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN])
    close = " or ".join(f"'{alias}'" for alias in suggest(name))
    return InvalidRequest(
        f"'{shown}' is no known model. {f'Did you mean {close}? ' if close else ''}`fluid-server list --available` "
        "shows those that are known; any other is named by its repository on the Hub: owner/repo.",
        param="model",
    )


def choose(listing: Listing, wanted: Wanted) -> Chosen:
    """The files of the repository that are needed. InvalidRequest if it has none that a runtime here could use."""
    files = {file.path: file for file in listing.files if is_portable_path(file.path)}
    form, places = _places(files, wanted)
    apart = {place.casefold(): (files[name], place) for name, place in sorted(places.items(), reverse=True)}
    return Chosen(format=form, folder=listing.repo, files=tuple(sorted(apart.values(), key=lambda each: each[1])))


def _places(files: Mapping[str, RemoteFile], wanted: Wanted) -> tuple[Format, dict[str, str]]:
    """The form of the model, and for the name of each file that is needed its place."""
    has_gguf = any(name.lower().endswith(SUFFIX) for name in files)
    if wanted.file or (wanted.quantization and has_gguf):
        return Format.GGUF, _gguf(files, wanted)
    if wanted.quantization:
        raise InvalidRequest(
            f"'{wanted.repo}' has no GGUF files, so no quantisation can be chosen. Ask for '{wanted.repo}'.",
            param="model",
        )
    for form, names in ((Format.OPENVINO, _openvino(files)), (Format.QNN, _qnn(files))):
        if names:
            return form, {name: name for name in names}
    if has_gguf:
        return Format.GGUF, _gguf(files, wanted)
    raise InvalidRequest(_nothing_here(files, wanted.repo), param="model")


def _gguf(files: Mapping[str, RemoteFile], wanted: Wanted) -> dict[str, str]:
    sizes = {name: file.size for name, file in files.items()}
    picked = pick(wanted.repo, sizes, quantization=wanted.quantization, file=wanted.file)
    return picked | {name: name for name in BESIDE_GGUF if name in files}


def _openvino(files: Mapping[str, RemoteFile]) -> list[str]:
    """A model has its graphs at the top, an image pipeline in a folder for each of its components."""
    if any(f"{layout.marker}.xml" in files for layout in LAYOUTS):
        return _matching(files, (*GRAPHS, *SIDECARS)) + _matching(files, (*VOICES, *POOLING), depth=1)
    if MODEL_INDEX in files and any(fnmatchcase(name, "*/openvino_model.xml") for name in files):
        parts = tuple(f"*/{pattern}" for pattern in (*GRAPHS, *SIDECARS))
        return [MODEL_INDEX, *_matching(files, SIDECARS), *_matching(files, parts, depth=1)]
    return []


def _qnn(files: Mapping[str, RemoteFile]) -> list[str]:
    """Every chipset's two halves: which is this machine's is for the runtime to say."""
    parts = {name: name.split("/") for name in files if name.count("/") == 2}
    halves = {name: chipset for name, (chipset, half, _) in parts.items() if half in HALVES}
    chipsets = {chipset for name, chipset in halves.items() if name.endswith("/model.onnx")}
    inside = [name for name, chipset in halves.items() if chipset in chipsets]
    told = [name for name in (METADATA, *(f"{chipset}/{METADATA}" for chipset in sorted(chipsets))) if name in files]
    return inside + told + _matching(files, SIDECARS) if chipsets else []


def _matching(files: Mapping[str, RemoteFile], patterns: tuple[str, ...], *, depth: int = 0) -> list[str]:
    """The files in folders so deep whose paths match one of the patterns."""
    return [
        name for name in files if name.count("/") == depth and any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def _nothing_here(files: Mapping[str, RemoteFile], repo: str) -> str:
    name = repo.partition("/")[2]
    if any(path.lower().endswith(_PYTORCH) for path in files):
        return (
            f"'{repo}' holds PyTorch weights (such as safetensors), which no runtime here reads. Search the Hub for "
            f"'{name} GGUF' or '{name} OpenVINO': the same model in a form that runs here."
        )
    return (
        f"'{repo}' holds no model for here. A GGUF model has .gguf files, an OpenVINO model openvino_model.xml "
        f"at the top, a QNN model <chipset>/encoder/model.onnx. Search the Hub for '{name} GGUF'."
    )
