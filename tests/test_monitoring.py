"""The board for Grafana, the alerts and the guide in docs/ speak of what /metrics has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.front_door import ECHO, RunningServer
from tests.scrape import Scrape

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE = DOCS / "guides" / "monitoring.md"
ALERTS = DOCS / "monitoring" / "alerts.yml"
BOARD: dict[str, Any] = json.loads((DOCS / "monitoring" / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES: list[dict[str, Any]] = BOARD["templating"]["list"]
GIVEN = {"up"}  # by Prometheus itself
GIVEN_LABELS = {"instance", "job", "le"}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool"}


@pytest.fixture(scope="module")
def scrape(server: RunningServer, http: httpx.Client) -> Scrape:
    """What a server says that has answered once."""
    body = {"model": ECHO, "messages": [{"role": "user", "content": "one"}]}
    http.post("/v1/chat/completions", json=body).raise_for_status()
    return Scrape.of(server)


def panel_queries() -> Iterator[str]:
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])


def variable_queries() -> Iterator[str]:
    """The series that the values of a variable are taken from, and the label they are of as one of a grouping."""
    for variable in VARIABLES:
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            yield f"sum by ({found[2]}) ({found[1]})"


def alert_queries() -> Iterator[str]:
    text = ALERTS.read_text(encoding="utf-8")
    for found in re.finditer(r"^ +expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", text, re.MULTILINE):
        yield found[1] or found[2]


QUERIES = sorted({*panel_queries(), *variable_queries(), *alert_queries()})


def names_in(query: str) -> set[str]:
    """The metrics that a query asks for: its words but for functions, labels and times."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", query)
    bare = re.sub(r"\{[^}]*\}|\b(by|without|on|ignoring) *\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_]\w*\b(?! *\()", bare)) - WORDS


def labels_in(query: str) -> set[str]:
    """The labels that it selects or groups by."""
    matched = re.findall(r"(\w+) *(?:=~|!~|!=|=)", " ".join(re.findall(r"\{([^}]*)\}", query)))
    grouped = re.findall(r"\b(?:by|without|on|ignoring) *\(([^)]*)\)", query)
    return {*matched, *(label.strip() for group in grouped for label in group.split(","))}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_there_is(scrape: Scrape, query: str) -> None:
    there = scrape.sample_names()
    asked = names_in(query) - GIVEN
    assert asked or names_in(query)
    assert asked <= there.keys()
    known = {label for name in asked for label in scrape.labels_of(there[name])}
    assert labels_in(query) <= known | GIVEN_LABELS


def test_queries_are_read_right() -> None:
    query = 'sum by (le, model) (rate(a_b{x=~"c d", y!="{}"}[5m])) / on (z) group_total > 0 and e_f{} or vector(0)'
    assert names_in(query) == {"a_b", "group_total", "e_f"}
    assert labels_in(query) == {"le", "model", "x", "y", "z"}
    assert len(set(alert_queries())) == ALERTS.read_text(encoding="utf-8").count("- alert:") >= 6
    assert len(set(variable_queries())) == 2


def test_every_metric_of_ours_is_on_the_board(scrape: Scrape) -> None:
    there = scrape.sample_names()
    shown = {there[name] for query in panel_queries() for name in names_in(query)}
    assert not scrape.ours.keys() - shown


def test_the_board_can_be_imported() -> None:
    assert (BOARD["id"], BOARD["uid"], BOARD["title"]) == (None, "fluid-server", "Fluid Server")
    assert [variable["name"] for variable in VARIABLES] == ["datasource", "instance", "model"]
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Traffic", "Latency", "Tokens", "Models", "Downloads", "Process"]
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel['id']} {panel['title']}")
def test_a_panel_says_what_it_shows_and_asks_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"].get("unit") or panel["type"] in {"state-timeline", "table"}
    for asks in (panel, *panel["targets"]):
        assert asks["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references)) > 0


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_guide_lists_every_metric_as_it_is(scrape: Scrape) -> None:
    rows = [
        f"| `{name}` | {family.type} | {', '.join(f'`{label}`' for label in scrape.labels_of(name))} | "
        f"{family.documentation} |"
        for name, family in scrape.ours.items()
    ]
    said = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `fluid_")]
    assert said == rows, "the table should be:\n" + "\n".join(rows)


def test_the_guide_speaks_of_nothing_else(scrape: Scrape) -> None:
    spoken = set(re.findall(r"\b(?:fluid|process|python)_[a-z_]+\b", GUIDE.read_text(encoding="utf-8")))
    assert spoken <= scrape.sample_names().keys() | scrape.families.keys()
