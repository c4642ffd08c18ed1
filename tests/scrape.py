"""What Prometheus reads from a server, read with the parser of Prometheus' own client."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.front_door import PATIENCE, RunningServer

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics."""

    text: str

    @classmethod
    def of(cls, server: RunningServer, key: str = "none") -> Self:
        """Ask now."""
        headers = {"Authorization": f"Bearer {key}"}
        return cls(httpx.get(f"{server.address}/metrics", headers=headers, timeout=PATIENCE).raise_for_status().text)

    @cached_property
    def families(self) -> dict[str, Metric]:
        """By their name in the text: a counter's ends with _total."""
        found = text_string_to_metric_families(self.text)
        return {one.name + "_total" * (one.type == "counter"): one for one in found}

    @property
    def ours(self) -> dict[str, Metric]:
        """Without what is said of the process and of Python."""
        return {name: family for name, family in self.families.items() if name.startswith("fluid_")}

    def value(self, name: str, **labels: Any) -> float:
        """The sum of all samples of that name whose labels include these; 0 where there is none."""
        wanted = {label: str(value) for label, value in labels.items()}.items()
        samples = (sample for family in self.families.values() for sample in family.samples)
        return sum(one.value for one in samples if one.name == name and wanted <= one.labels.items())

    def values_of(self, label: str) -> set[str]:
        """All values that a label has in our metrics."""
        samples = (sample for family in self.ours.values() for sample in family.samples)
        return {sample.labels[label] for sample in samples if label in sample.labels}

    def labels_of(self, name: str) -> list[str]:
        """The labels of a metric without a histogram's own, in the order of the alphabet."""
        return sorted({label for sample in self.families[name].samples for label in sample.labels} - {"le"})

    def sample_names(self) -> dict[str, str]:
        """The names that a query can ask for, and the metric that each belongs to."""
        return {
            family.name + suffix: name
            for name, family in self.families.items()
            for suffix in SUFFIXES.get(family.type, ("",))
        }
