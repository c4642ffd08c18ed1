"""Why the Hub refuses something, in words that say what to do. The one table of its statuses and error codes.

The Hub tells in headers what a status means: ``X-Error-Code`` and ``X-Error-Message``. Without a token it answers
401 both for what is private and for what does not exist, so that nobody can find out which.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from fluid_server.errors import HubError, HubTokenRejected, HubUnreachable, RepositoryGated, RepositoryNotFound

LOGIN = "set HF_TOKEN in the environment of fluid-server, or run `hf auth login`"
REFUSED_FROM = 400
RANGE_REFUSED = 416
LONGEST_WAIT = 3600.0
_BUSY = 429
_RETRYABLE = frozenset({408, 425, 429})
_SERVER_FAILED = 500
_RATE_LIMIT = re.compile(r"\br=0\b.*\bt=(\d{1,9})\b")
_DISABLED = "access to this resource is disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of the Hub. ``endpoint`` is its address, ``token`` whether one was shown."""

    endpoint: str
    token: bool
    repo: str
    revision: str
    path: str | None = None

    @property
    def address(self) -> str:
        """The endpoint for people: a name and password before the host stay secret."""
        scheme, mark, rest = self.endpoint.rpartition("://")
        authority, slash, path = rest.partition("/")
        return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"

    @property
    def host(self) -> str:
        """The same without what every address begins with."""
        return self.address.partition("://")[2] or self.address


def may_pass(status: int) -> bool:
    """Whether the same request may be answered later."""
    return status in _RETRYABLE or status >= _SERVER_FAILED


def refusal(asked: Asked, status: int, headers: Mapping[str, str]) -> HubError:
    """The failure that an answer of 400 or above stands for. ``headers`` has lower-case names."""
    if may_pass(status):
        busy = "has too many requests from here" if status == _BUSY else f"is in trouble (status {status})"
        wait = retry_after(headers) or 10.0
        return HubError(f"The Hub ({asked.host}) {busy}. Try again in {wait:.0f} s.", retry_after=wait)
    code, message = headers.get("x-error-code", ""), headers.get("x-error-message", "").lower()
    if code in _BY_CODE:
        return _BY_CODE[code](asked)
    if _DISABLED in message:
        return HubError(f"The Hub has disabled the repository '{asked.repo}'. Look for another one.")
    if status in _BY_STATUS:
        return _BY_STATUS[status](asked)
    return HubError(
        f"The Hub ({asked.host}) refuses '{asked.repo}' with the status {status}. Check the name and HF_ENDPOINT."
    )


def _not_found(asked: Asked) -> HubError:
    if asked.token:
        hint = "or the token that was shown may not see it. Check the name, and the token's permissions."
    else:
        hint = f"or it is private. Check the name; if it is private, {LOGIN}."
    return RepositoryNotFound(f"There is no repository '{asked.repo}' on the Hub ({asked.host}), {hint}")


def _no_revision(asked: Asked) -> HubError:
    return RepositoryNotFound(
        f"Repository '{asked.repo}' has no revision '{asked.revision}'. Leave '@{asked.revision}' out to get its main "
        f"branch, or look at {asked.address}/{asked.repo} for the ones it has."
    )


def _no_file(asked: Asked) -> HubError:
    what = f"no file '{asked.path}'" if asked.path else "no such file"
    return RepositoryNotFound(f"Repository '{asked.repo}' has {what} at this revision. Pull the model again.")


def _gated(asked: Asked) -> HubError:
    whose = "with the account whose token is used here" if asked.token else f"and then {LOGIN}"
    return RepositoryGated(
        f"Repository '{asked.repo}' is gated: accept its terms at {asked.address}/{asked.repo}, {whose}. "
        "Some authors let people in by hand, which takes time."
    )


def _who_are_you(asked: Asked) -> HubError:
    if not asked.token:
        return _not_found(asked)
    return HubTokenRejected(
        "The Hub does not take the token that it was shown (HF_TOKEN, or the one of `hf auth login`): it is wrong or "
        f"has expired. Make a new one at {asked.address}/settings/tokens, or remove it: public models need none."
    )


def _forbidden(asked: Asked) -> HubError:
    if not asked.token:
        return HubError(
            f"The Hub ({asked.host}), or a proxy before it, forbids '{asked.repo}'. Check the proxy's rules."
        )
    return HubTokenRejected(
        f"The token that was shown may not read '{asked.repo}'. "
        f"Give it that permission at {asked.address}/settings/tokens."
    )


_BY_CODE = {
    "RepoNotFound": _not_found,
    "RevisionNotFound": _no_revision,
    "EntryNotFound": _no_file,
    "GatedRepo": _gated,
}
_BY_STATUS = {401: _who_are_you, 403: _forbidden, 404: _not_found}


def unreachable(asked: Asked, why: str) -> HubUnreachable:
    """The Hub cannot be reached; ``why`` is a clause such as "there is no such host"."""
    return HubUnreachable(
        f"The Hub ({asked.host}) cannot be reached: {why}. Check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT. "
        "Models that are already here work without it.",
        retry_after=10.0,
    )


def why_not_reached(error: Exception) -> str:
    """A clause for people; the texts of the libraries differ from system to system."""
    import httpx2

    text, root = str(error).lower(), _root(error)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return "this is no address of a server"
    if isinstance(root, ssl.SSLCertVerificationError):
        return "its certificate is not trusted here (behind a company's proxy, set SSL_CERT_FILE to its certificates)"
    if isinstance(root, ssl.SSLError):
        return "it does not speak HTTPS"
    if isinstance(error, httpx2.ProxyError):
        return "the proxy does not let it through"
    if isinstance(root, socket.gaierror) or any(word in text for word in ("name or service", "getaddrinfo")):
        return "no such host is known here"
    return "the connection is refused" if "refused" in text or "attempts failed" in text else "it does not answer"


def _root(error: BaseException) -> BaseException:
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the answer asks to wait, at most an hour: Retry-After in both its forms, or RateLimit."""
    told = headers.get("retry-after", "").strip()
    limit = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    if told.isdecimal():
        return min(float(told), LONGEST_WAIT)
    if told:
        return _until(told)
    return min(float(limit.group(1)), LONGEST_WAIT) if limit else None


def _until(date: str) -> float | None:
    try:
        seconds = parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
