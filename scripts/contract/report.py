"""Verdicts as a page: scores, what differs between our runtimes and why, and the whole table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scripts.contract.case import Case, Outcome
from scripts.contract.scoring import RIGHT, Result, apis, differing, groups, score

SHORT = {
    Outcome.HONOURED: "honoured",
    Outcome.BY_NAME: "refused",
    Outcome.OTHERWISE: "*refused otherwise*",
    Outcome.IGNORED: "**ignored**",
    Outcome.BROKEN: "**broken**",
}
NOT_RUN = "–"  # noqa: RUF001 (as tables have it)
HEAD = """\
# Conformance

<!-- Written by `uv run scripts/conformance.py --own`. Run it again rather than change it by hand. -->

Does a server do what OpenAI's contract says? {count} cases ask it, field by field, alone and where fields meet. Each
has a check that tells whether a field was honoured, and not only taken: a stop text must cut, a ban must change the
answer, a schema must be kept to at a high temperature. Most hold an answer against a plain one that was asked for
first, so they say the same whatever the model is.

| Outcome | What it means |
| --- | --- |
| honoured | the answer shows that the field did its work |
| refused | by name: 400 in OpenAI's shape, with a code and the field in `param` (404 and the like where right) |
| *refused otherwise* | a failure of another shape or status, or that does not name the field |
| **ignored** | a success whose answer shows that the field did nothing, or a wrong request that was taken |
| **broken** | an error of the server, an answer that the official client cannot read, or none |

The score is the share of cases that were honoured or refused by name. What a server does not have at all ends in a
404, which names no field: read the score of each API by itself.
"""
HOW = """\
## Try another server

The table knows nothing of this server: it speaks plain HTTP, and reads answers with the types of the `openai` package.

```
uv run scripts/conformance.py --base-url http://127.0.0.1:8080/v1                      # this server
uv run scripts/conformance.py --base-url http://127.0.0.1:11434/v1 --model qwen3:0.6b  # Ollama
uv run scripts/conformance.py --base-url http://127.0.0.1:8080/v1 --model any          # llama-server
uv run scripts/conformance.py --base-url http://127.0.0.1:1234/v1 --model NAME         # LM Studio
uv run scripts/conformance.py --base-url http://127.0.0.1:8000/v1                      # vLLM, Model Server, Lemonade
```

`--only stop` tries a part. `--json FILE` keeps the verdicts, `--compare FILE …` shows kept ones beside these,
`--markdown FILE` writes this page, and `--openapi FILE` also holds every answer against OpenAI's published schemas.
Cases with sound need `--speech-model NAME`, those in which a text is said `--voice-model NAME`, those with embeddings
`--embedding-model NAME`; without it they are left out. Ctrl-C ends a run with what there is. The exit code is 1 where
something is broken.

Cases marked ° also take a model that follows the request: it must call the tool that helps, or reason when it is told
to. To compare two servers, give them the same model.
"""


def report(
    results: Sequence[Result],
    cases: Sequence[Case],
    differences: Mapping[str, str],
    incomplete: Mapping[str, str] | None = None,
) -> str:
    """The page. The first two results are our runtimes where they bear our title.

    ``differences`` has the reasons where they differ, ``incomplete`` those of answers that lack something.
    """
    parts = [
        HEAD.format(count=len(cases)),
        _scores(results, cases),
        _forms(results, incomplete or {}),
        _differing(results, differences),
        _refused(results[0], cases),
        *(_reasons(result, cases) for result in results if not _ours(result)),
        _table(results, cases),
        HOW,
    ]
    return "\n".join(part for part in parts if part)


def _ours(result: Result) -> bool:
    return result.title.startswith("Fluid Server")


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _grid(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    titles = list(head)
    return "\n".join([_row(*titles), _row(*("---" for _ in titles)), *(_row(*row) for row in rows)]) + "\n"


def _scores(results: Sequence[Result], cases: Sequence[Case]) -> str:
    contract = [case for case in cases if not case.ours]
    rows: list[list[object]] = []
    for api in apis(cases):
        inside = [case for case in cases if case.api == api]
        name = f"{api} ({len(inside)})" + (", not scored" if inside[0].ours else "")
        rows.append([name, *(score(result.counts(inside)) for result in results)])
    for outcome in Outcome:
        rows.append([SHORT[outcome], *(result.counts(contract)[outcome] for result in results)])
    rows.append([f"**score** ({len(contract)})", *(f"**{score(result.counts(contract))}**" for result in results)])
    told = [f"- {result.title}: {result.model}{result.version and f', {result.version}'}." for result in results]
    return "\n".join(["## Scores\n", _grid(["", *(result.title for result in results)], rows), *told, ""])


def _forms(results: Sequence[Result], incomplete: Mapping[str, str]) -> str:
    """What is said of the answers' forms."""
    lines = ["## The form of the answers\n"]
    for result in results:
        odd = sum(bool(one.invalid) for one in result.verdicts)
        whole = f"in {len(result.verdicts) - odd} of {len(result.verdicts)} cases every answer and every event is whole"
        lines.append(f"- {result.title}: {whole}, by the types of the `openai` package and the published schemas.")
    for reason in dict.fromkeys(incomplete.values()):
        named = ", ".join(name for name, why in incomplete.items() if why == reason)
        lines.append(f"\nWhat is not whole here, and why: {named}. {reason}")
    extras = sorted(set().union(*(one.extras for result in results if _ours(result) for one in result.verdicts)))
    if extras:
        named = ", ".join(f"`{one}`" for one in extras)
        lines.append(f"\nFields of this server's answers that OpenAI's have not: {named}.")
    return "\n".join([*lines, ""])


def _differing(results: Sequence[Result], differences: Mapping[str, str]) -> str:
    ours = [result for result in results if _ours(result)]
    if len(ours) < 2:
        return ""
    found = differing(ours[0], ours[1])
    title = "## Where the two runtimes differ\n"
    if not found:
        return f"{title}\nNowhere: each case ends in the same class on both.\n"
    rows = [[name, *(SHORT[one] for one in both), differences.get(name, "")] for name, both in found.items()]
    return f"{title}\n" + _grid(["Case", *(result.title for result in ours), "Why"], rows)


def _refused(result: Result, cases: Sequence[Case]) -> str:
    """What is right to ask, and not served."""
    right = {case.name for case in cases if case.refusal is None}
    rows = [[one.name, one.reason] for one in result.verdicts if one.name in right and one.outcome == Outcome.BY_NAME]
    what = f"Requests that OpenAI would take, and {result.title} with its model does not:"
    title = f"## What is refused by name\n\n{what}\n\n"
    return title + _grid(["Case", "What it says"], rows) if rows else ""


def _reasons(result: Result, cases: Sequence[Case]) -> str:
    """Why a peer's cases are not right."""
    known = {case.name for case in cases}
    rows = [
        [one.name, SHORT[one.outcome], one.reason]
        for one in result.verdicts
        if one.name in known and one.outcome not in RIGHT
    ]
    if not rows:
        return ""
    summary = f"<summary>{len(rows)} cases that {result.title} does not pass, and what it does</summary>"
    return f"<details>\n{summary}\n\n{_grid(['Case', 'Outcome', 'What was seen'], rows)}\n</details>\n"


def _table(results: Sequence[Result], cases: Sequence[Case]) -> str:
    lines = ["## The table\n"]
    for group in groups(cases):
        inside = [case for case in cases if case.group == group]
        rows = [
            [case.name + (" °" if case.able else ""), case.proves, *(_cell(result, case) for result in results)]
            for case in inside
        ]
        lines += [f"### {group}\n", _grid(["Case", "What it proves", *(result.title for result in results)], rows)]
    return "\n".join(lines)


def _cell(result: Result, case: Case) -> str:
    verdict = result.of(case.name)
    return SHORT[verdict.outcome] if verdict else NOT_RUN
