"""The sections of the speed page: each target's name, words, and the function that measures its rows.

A new measurement is one entry here: a function from an Effort to rows (figures.Row), given out one by one, so that what
is there is kept when somebody ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from benchmarks.effort import Effort
from benchmarks.figures import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page. ``ours``, ``peer`` and ``judged`` head the columns; the seconds are a first guess."""

    name: str
    title: str
    target: str
    how: str
    source: str
    ours: str
    peer: str
    judged: str
    seconds: float
    quick_seconds: float

    def measure(self, effort: Effort) -> Iterator[Row]:
        """The rows, as they come. Imports what measures only now."""
        module, function = self.source.split(":")
        found: Callable[[Effort], Iterator[Row]] = getattr(import_module(module), function)
        return found(effort)


SECTIONS = (
    Section(
        name="throughput",
        title="Generation through HTTP",
        target="At least 0.97 of the engine alone with the model of 67 M parameters, 0.80 with the demo model of 2 M.",
        how="Generated tokens a second in all, the reading of the prompts included; each stream has another prompt of "
        "some twenty tokens, and takes as many tokens as any other. With the demo model a step takes a fraction of a "
        "millisecond, so that our own cost is at its largest.",
        source="benchmarks.serving:throughput",
        ours="through HTTP",
        peer="engine alone",
        judged="ratio",
        seconds=1500,
        quick_seconds=60,
    ),
    Section(
        name="first-token",
        title="Time to first token",
        target="At most 5 ms over the engine alone, for one client.",
        how="From the connection's opening to the first text, beside the engine alone from a text to its first token. "
        "Nothing of a prompt is cached.",
        source="benchmarks.serving:first_token",
        ours="through HTTP",
        peer="engine alone",
        judged="over it",
        seconds=240,
        quick_seconds=12,
    ),
    Section(
        name="llama-server",
        title="Beside llama-server",
        target="Tokens a second at 8 and 16 streams at least 1.0 of llama.cpp's own server; time to first token of a "
        "short request that comes while long ones run at most 1.0 of it.",
        how="The same GGUF, slots, threads and requests through HTTP on both sides. llama-server is the one in the "
        "xllamacpp wheel, which is compiled for any CPU; the native driver is compiled for this one.",
        source="benchmarks.adapted:llama_server",
        ours="Fluid Server",
        peer="llama-server",
        judged="ratio",
        seconds=300,
        quick_seconds=12,
    ),
    Section(
        name="null",
        title="A null generation",
        target="At least 50,000 tokens a second in all through HTTP at 32 streams, /health below 20 ms at the 99th "
        "percentile.",
        how="The echo runtime says words as fast as it is asked: what is left is the way from the worker's loop to the "
        "client's socket. Server, worker and client share the cores.",
        source="benchmarks.adapted:null",
        ours="through HTTP",
        peer="",
        judged="",
        seconds=60,
        quick_seconds=10,
    ),
    Section(
        name="health",
        title="/health beside 32 streams",
        target="Below 20 ms at the 99th percentile.",
        how="Asked every 20 ms by a process of its own, which wants its part of the same cores; each repeat has a 99th "
        "percentile of its own.",
        source="benchmarks.serving:health",
        ours="beside 32 streams",
        peer="beside none",
        judged="",
        seconds=300,
        quick_seconds=14,
    ),
    Section(
        name="start",
        title="Start and idle memory",
        target="/live within 0.5 s of the process's start; below 70 MB when idle.",
        how="/live is answered while the rest of the server is being imported, any other request when that is done. "
        "The other Python imports FastAPI and uvicorn, and nothing else.",
        source="benchmarks.lifecycle:start",
        ours="server",
        peer="bare Python",
        judged="",
        seconds=20,
        quick_seconds=10,
    ),
    Section(
        name="memory",
        title="Memory of a worker",
        target="What a worker takes over the engine alone is reported.",
        how="Resident memory after one answer of 32 tokens, with room for 32 contexts of 1,024 tokens on both sides.",
        source="benchmarks.lifecycle:memory",
        ours="worker",
        peer="engine alone",
        judged="over it",
        seconds=120,
        quick_seconds=14,
    ),
    Section(
        name="second-turn",
        title="Second turn of a long conversation",
        target="Time to first token at most 15 % of the first turn's.",
        how="First turns of about 1,500 tokens, each with other words.",
        source="benchmarks.second_turn:second_turn",
        ours="second turn",
        peer="first turn",
        judged="ratio",
        seconds=240,
        quick_seconds=12,
    ),
    Section(
        name="cancel",
        title="Cancel to freed place",
        target="Below 0.2 s, streamed or not.",
        how="From the closing of the connection until the worker's own count says that nothing runs and nothing is "
        "leaving.",
        source="benchmarks.lifecycle:cancel",
        ours="until free",
        peer="",
        judged="",
        seconds=90,
        quick_seconds=10,
    ),
    Section(
        name="cold-start",
        title="A cold model",
        target="From the start of a worker's process to the first token, and what takes the time.",
        how="spawn: a fresh Python with the worker's own code. import: until the runtime opens the model. load: until "
        "it is in memory. first step: from the request to the first thing it brings.",
        source="benchmarks.adapted:cold_start",
        ours="time",
        peer="",
        judged="share of the total",
        seconds=120,
        quick_seconds=6,
    ),
)


def chosen(names: list[str]) -> list[Section]:
    """Those named, in the page's order; all of them where none was. Errors: KeyError for a name that nobody has."""
    known = {section.name: section for section in SECTIONS}
    wanted = {known[name].name for name in names} or set(known)
    return [section for section in SECTIONS if section.name in wanted]
