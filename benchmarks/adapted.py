"""Benchmarks that are commands of their own, as sections of the speed page: their figures as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from benchmarks import against_llama_server, null_stream
from benchmarks.effort import Effort
from benchmarks.engines import LARGE, TINY, engines, models
from benchmarks.figures import Row, Spread, Subject, Target, given
from benchmarks.make_model import FOLDER

NULL_RATE, HEALTH = Target(50_000), Target(20.0, most=True)
NULL_STREAMS = 32
LLAMA_RATE, LLAMA_FIRST = Target(1.0), Target(1.0, most=True)


def null(effort: Effort) -> Iterator[Row]:
    """A row for each load of null_stream.py: tokens a second of the echo runtime; and /health beside the largest."""
    effort.tell("a null generation")
    loads = (1, NULL_STREAMS) if effort.quick else null_stream.STREAMS
    for streams, row in null_stream.measure(effort.repeats, streams=loads)["streams"].items():
        largest = int(streams) == NULL_STREAMS
        what = "1 stream" if streams == "1" else f"{streams} streams"
        rate = _spread(row["tokens_per_second"])
        yield given(Subject(what, "tokens/s", NULL_RATE if largest else None), effort.repeats, rate)
        if largest:
            slow = row["health_ms"]["p99"]
            seen = Spread(slow, slow, slow)  # of all repeats together: a percentile of each is not told
            yield given(Subject(f"/health beside {what}: 99th percentile", "ms", HEALTH), effort.repeats, seen)
            slowest = _spread(row["burst_ms"])
            yield given(Subject(f"/health while {what} begin at once: the slowest", "ms"), effort.repeats, slowest)


def llama_server(effort: Effort) -> Iterator[Row]:
    """A row for each model, driver and load of against_llama_server.py."""
    kinds = {LARGE: against_llama_server.RANDOM, TINY: against_llama_server.TINY}
    for model in models(effort):
        label = f"{model} model"
        effort.tell(label)
        found = against_llama_server.measure(kinds[model], repeats=effort.repeats, tokens=40 if effort.quick else 100)
        for driver, figures in found["drivers"].items():
            yield from _against(f"llama.cpp {driver}, {label}", figures, effort.repeats)


def _against(name: str, figures: Mapping[str, Any], repeats: int) -> Iterator[Row]:
    for load, row in figures.items():
        if load == "peer":
            continue
        short = load == "short"
        what = f"{name}, {'a short request beside long ones' if short else f'{load} streams'}"
        subject = Subject(what, "ms" if short else "tokens/s", LLAMA_FIRST if short else LLAMA_RATE)
        ours, peer = _spread(row["ours"]), _spread(row["peer"])
        # The widest that the two ranges allow: which repeats belong together is not told.
        ratios = Spread(row["ratio"], ours.low / peer.high, ours.high / peer.low)
        yield given(subject, repeats, ours, peer, ratios)


def cold_start(effort: Effort) -> Iterator[Row]:
    """Rows for each model of cold_start.py: its total, and each part of it as a share."""
    module = import_module("benchmarks.cold_start")
    quick = [name for engine in engines(effort) for name, _ in [engine.models[TINY]]]
    wanted = [(quick, module.ROOT / "models")] if effort.quick else [((), module.ROOT / "models"), ((), FOLDER)]
    for names, folder in wanted:
        effort.tell("workers that start")
        for model, parts in module.measure(names, effort.repeats, folder).items():
            total = _spread(parts["total"])
            for part in module.PARTS:
                place = {"model": model, "part": part}
                share = {name: one / total.median for name, one in parts[part].items()}
                subject = Subject(f"{model}: {part}", "s", place=place)
                yield given(subject, effort.repeats, _spread(parts[part]), None, _spread(share))


def _spread(told: Mapping[str, float]) -> Spread:
    return Spread(told["median"], told["min"], told["max"])
