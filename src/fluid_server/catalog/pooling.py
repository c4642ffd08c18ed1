"""How an embedding model's vectors of single tokens become one, and how much it reads: what its folder says of it.

sentence-transformers writes a model as a row of modules: the network, the pooling, and what comes behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fluid_server.catalog import sidecar
from fluid_server.catalog.folder import BadModel, Folder, look

MODULES = "modules.json"
POOLING_FOLDER = "1_Pooling"
CONFIG = "config.json"
WAYS = ("mean", "cls", "last")
# How sentence-transformers calls them: a switch each, or one word.
_SWITCHES = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}
_WORDS = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_SWITCH = "pooling_mode_"
_COMPUTED = frozenset({"Transformer", "Pooling", "Normalize"})  # the modules that are computed here
_BEHIND_PADDING = ("roberta", "camembert", "mpnet")
_LONGEST = 10_000_000  # tokens; tokenizers that have no limit say 1e30


def pooling(folder: Folder) -> str | None:
    """One of WAYS; None where the folder does not say. Errors: BadModel where it is another, or more follows it."""
    if (own := sidecar.read_json(folder, sidecar.OWN).get("pooling")) is not None:
        if own not in WAYS:
            raise BadModel(f'"pooling" in {sidecar.OWN} is one of {", ".join(WAYS)}')
        return str(own)
    for module in _modules(folder):
        if module not in _COMPUTED:
            raise BadModel(f"behind its network it has a module that no runtime here computes: {module}")
    if POOLING_FOLDER not in folder.folders:
        return None
    return _way(sidecar.read_json(look(folder.path / POOLING_FOLDER), CONFIG))


def context_length(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> int | None:
    """How many tokens it reads: the fewest that one of its files says.

    RoBERTa and its kin count their places from behind the padding's id on, and have so many fewer.
    """
    places = sidecar.context_length(config)
    family = sidecar.architecture(config) or ""
    if places and any(name in family for name in _BEHIND_PADDING):
        places -= (sidecar.whole(config.get("pad_token_id"), least=0) or 0) + 1
    told = sidecar.whole(tokenizer.get("model_max_length"))
    return min(filter(None, (places, told if told and told < _LONGEST else None)), default=None)


def _modules(folder: Folder) -> list[str]:
    """The names of the modules, without the packages that they are in."""
    text = sidecar.read_text(folder, MODULES, sidecar.MAX_JSON_BYTES)
    if text is None:
        return []
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{MODULES} is not valid JSON: download the model again") from error
    modules = listed if isinstance(listed, list) else []
    kinds = [sidecar.words(one.get("type")) or "" for one in modules if isinstance(one, dict)]
    return [kind.rpartition(".")[2] for kind in kinds]


def _way(config: Mapping[str, Any]) -> str:
    named = config.get("pooling_mode")
    words = named if isinstance(named, list) else [named]
    found = [_WORDS.get(str(word), str(word)) for word in words if word] or [
        _SWITCHES.get(name.removeprefix(_SWITCH), name.removeprefix(_SWITCH))
        for name, on in config.items()
        if name.startswith(_SWITCH) and on is True
    ]
    if len(found) != 1 or found[0] not in WAYS:
        shown = " and ".join(found)[:80] or "none"
        raise BadModel(f"its vectors are put together in a way that no runtime here has: {shown}")
    return found[0]
