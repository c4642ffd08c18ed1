"""From a case and its answers to a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.contract.case import Ask, Case, Outcome, Reply, Verdict
from scripts.contract.checks import shown
from scripts.contract.typed import Findings, Published, error_of, look_at

SERVER_FAILED = 500
BAD_REQUEST = 400
NOT_FOUND = 404


def judge(case: Case, asks: Sequence[Ask], replies: Sequence[Reply], published: Published | None) -> Verdict:
    """What became of a case. There may be fewer answers than requests: after a refusal nothing more is asked."""
    findings = [look_at(ask, reply, published) for ask, reply in zip(asks, replies, strict=False)]
    outcome, reason = _outcome(case, replies, findings)
    return Verdict(
        name=case.name,
        outcome=outcome,
        reason=reason,
        invalid=tuple(dict.fromkeys(problem for found in findings for problem in found.invalid)),
        extras=frozenset(extra for found in findings for extra in found.extras),
        seconds=sum(reply.seconds for reply in replies),
    )


def _outcome(case: Case, replies: Sequence[Reply], findings: Sequence[Findings]) -> tuple[Outcome, str]:
    if broken := _broken(replies, findings):
        return Outcome.BROKEN, broken
    final = replies[-1]
    if case.refusal is not None and (len(replies) == len(case.asks) or final.success):
        return _refused_rightly(case, final) if not final.success else (Outcome.IGNORED, "it was taken")
    if not final.success:
        if len(replies) > 1 and final.status == NOT_FOUND and "$" in case.asks[len(replies) - 1].path:
            return Outcome.IGNORED, "it was taken, and what came of it is not found"
        return _refused(case, final)
    try:
        reason = case.check(replies)
    except (LookupError, TypeError, AttributeError) as error:  # an answer of a shape that nobody has described
        return Outcome.BROKEN, f"malformed: {type(error).__name__} {error}"
    return (Outcome.IGNORED, reason) if reason else (Outcome.HONOURED, "")


def _broken(replies: Sequence[Reply], findings: Sequence[Findings]) -> str:
    for reply, found in zip(replies, findings, strict=True):
        if reply.problem:
            return reply.problem
        if reply.status >= SERVER_FAILED:
            return f"{reply.status}: {_message(reply)}"
        if found.malformed:
            return f"malformed: {found.malformed}"
    return "" if replies else "nothing was asked"


def _refused(case: Case, reply: Reply) -> tuple[Outcome, str]:
    """A request that is right, and that this server does not serve."""
    error = error_of(reply)
    if error is None:
        return Outcome.OTHERWISE, f"{reply.status} in another shape than OpenAI's: {_message(reply)}"
    if reply.status != BAD_REQUEST or not _names(error.param, case.fields):
        return Outcome.OTHERWISE, f"{reply.status}, param {error.param}: {shown(error.message)}"
    return Outcome.BY_NAME, error.message


def _refused_rightly(case: Case, reply: Reply) -> tuple[Outcome, str]:
    """A request that must be refused."""
    assert case.refusal is not None
    error = error_of(reply)
    if error is None:
        return Outcome.OTHERWISE, f"{reply.status} in another shape than OpenAI's: {_message(reply)}"
    if reply.status != case.refusal.status:
        return Outcome.OTHERWISE, f"{reply.status}, not {case.refusal.status}: {shown(error.message)}"
    if case.refusal.code and error.code != case.refusal.code:
        return Outcome.OTHERWISE, f"code {error.code}, not {case.refusal.code}"
    if not _names(error.param, case.fields):
        return Outcome.OTHERWISE, f"param {error.param}, not {case.fields[0]}"
    reason = case.check([reply])
    return (Outcome.OTHERWISE, reason) if reason else (Outcome.BY_NAME, error.message)


def _names(param: str | None, fields: Sequence[str]) -> bool:
    """Whether a refusal names one of the fields, or something inside of one; where there is none, it need not."""
    return not fields or (
        param is not None and any(param == field or param.startswith((f"{field}.", f"{field}[")) for field in fields)
    )


def _message(reply: Reply) -> str:
    body = reply.body
    error = body.get("error", body) if isinstance(body, dict) else body
    return shown(error.get("message", error) if isinstance(error, dict) else error)
