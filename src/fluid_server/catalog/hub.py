"""The Hugging Face Hub: what a repository holds, and its files, byte by byte.

The one place that imports huggingface_hub, and late: that takes half a second. The endpoint (HF_ENDPOINT), the token
(HF_TOKEN or ``hf auth login``) and the offline switch (HF_HUB_OFFLINE) are its, so they work here as everywhere.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fluid_server import __version__
from fluid_server.catalog.refusals import (
    RANGE_REFUSED,
    REFUSED_FROM,
    Asked,
    may_pass,
    refusal,
    retry_after,
    unreachable,
    why_not_reached,
)
from fluid_server.catalog.remote import MAX_SIZE, Begin, Interrupted, Listing, Piece, RangeNotSatisfiable, RemoteFile
from fluid_server.errors import FluidError, HubError, HubTokenRejected, Offline, RepositoryGated, RepositoryNotFound

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi, ModelInfo
    from huggingface_hub.hf_api import RepoSibling

T = TypeVar("T")
MAX_PIECE = 1 << 20
CONNECT_TIMEOUT = 10.0
LIBRARY = "fluid-server"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_WHOLE, _PART = 200, 206


@dataclass(frozen=True, slots=True)
class _Access:
    """Where the Hub is, and what every request to it carries."""

    endpoint: str
    headers: dict[str, str]

    def asked(self, repo: str, revision: str, path: str | None = None) -> Asked:
        token = "authorization" in self.headers
        return Asked(endpoint=self.endpoint, token=token, repo=repo, revision=revision, path=path)


async def listing(repo: str, revision: str = "main", *, timeout: float = 10) -> Listing:
    """The files of a repository at a branch, tag or commit.

    Errors: RepositoryNotFound, RepositoryGated, HubTokenRejected, HubUnreachable, Offline, HubError (with
    ``retry_after`` where the same may work later).
    """
    access = await _in_thread(_access)
    asked = access.asked(repo, revision)
    try:
        async with asyncio.timeout(timeout):
            return await _in_thread(lambda: _list(access, asked, timeout))
    except TimeoutError:
        raise unreachable(asked, f"it has not answered for {timeout:g} s") from None


async def fetch(
    repo: str, revision: str, path: str, *, start: int = 0, stall: float = 30
) -> AsyncGenerator[Piece, None]:
    """The bytes of a file from ``start`` on: first a Begin, then pieces of at most 1 MiB.

    Close it when you stop early (``contextlib.aclosing``): that closes the connection, as cancelling does.
    Errors: Interrupted (``stall`` seconds without a byte among others) and RangeNotSatisfiable, which are to be
    handled; HubError and its kin, which end it.
    """
    access = await _in_thread(_access)
    asked = access.asked(repo, revision, path)
    async with await _in_thread(lambda: _client(asked)) as client:
        with _connection(asked, stall):
            async with _answer(client, access, asked, start, stall) as (response, begin, expected):
                yield Begin(begin)
                received = 0
                async with aclosing(response.aiter_raw()) as stream:
                    async for data in stream:
                        received += len(data)
                        for at in range(0, len(data), MAX_PIECE):
                            yield data[at : at + MAX_PIECE]
        if expected is not None and received < expected:
            raise Interrupted(f"the answer ended {expected - received} bytes too early")


async def _in_thread(work: Callable[[], T]) -> T:
    """Like asyncio.to_thread, but the end of the program does not wait for a Hub that does not answer."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        settle = partial(_fail, done, RuntimeError("a thread for the Hub has failed: the log has its traceback"))
        try:
            settle = partial(_succeed, done, work())
        except FluidError as error:
            settle = partial(_fail, done, error)
        finally:
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return await done


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _access() -> _Access:
    """Blocks: for the import, and while a token is renewed over the network. Errors: Offline, HubTokenRejected."""
    from huggingface_hub import constants
    from huggingface_hub.errors import OIDCError
    from huggingface_hub.utils._headers import build_hf_headers

    if constants.is_offline_mode():
        raise Offline(
            "HF_HUB_OFFLINE is set, so nothing is fetched from the Hub. Unset it in the environment of "
            "fluid-server, or put the model into the models folder by hand."
        )
    try:
        headers = build_hf_headers(library_name=LIBRARY, library_version=__version__)
    except (OIDCError, OSError, ValueError) as error:
        raise HubTokenRejected("The Hub's token cannot be read here: run `hf auth login` once more.") from error
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise HubTokenRejected("The Hub's token has letters that no token has: check HF_TOKEN.")
    return _Access(constants.ENDPOINT, headers)


def _list(access: _Access, asked: Asked, timeout: float) -> Listing:
    """Blocks."""
    import httpx2
    from huggingface_hub import HfApi, get_session
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    _session(asked, get_session)
    token = access.headers.get("authorization", "").removeprefix("Bearer ") or False
    api = HfApi(access.endpoint, token=token, library_name=LIBRARY, library_version=__version__)
    try:
        info = api.model_info(asked.repo, revision=asked.revision, timeout=timeout, files_metadata=True)
        found = _listing(asked.repo, info)
        if info.gated:
            _knock(api, asked)
        return found
    except HfHubHTTPError as error:
        raise refusal(asked, error.response.status_code, error.response.headers) from error
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise unreachable(asked, why_not_reached(error)) from error
    except HFValidationError as error:
        raise RepositoryNotFound(f"'{asked.repo}' is no repository's name: it is like owner/name.") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise HubError(
            f"What answers at {asked.host} does not answer like the Hub. Check HF_ENDPOINT, and whether the network "
            "wants a login first."
        ) from error


def _knock(api: HfApi, asked: Asked) -> None:
    """A gated repository shows its listing to everybody. Blocks. RepositoryGated if its files are not for us."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.auth_check(asked.repo)
    except HfHubHTTPError as error:
        answer = refusal(asked, error.response.status_code, error.response.headers)
        if isinstance(answer, RepositoryGated):
            raise answer from error  # any other refusal may be that of a mirror which does not know the question


def _listing(repo: str, info: ModelInfo) -> Listing:
    """ValueError and its like if the Hub told nonsense."""
    if not info.sha or not _COMMIT.fullmatch(info.sha):
        raise ValueError("no commit")
    licences = (tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:"))
    files = tuple(_file(each) for each in info.siblings or ())
    return Listing(repo=_spelt(repo, info.id), revision=info.sha, files=files, licence=next(licences, None))


def _spelt(repo: str, own: str) -> str:
    """A repository's name in the Hub's own letter case, so that other ones do not make it another model."""
    return own if own.isascii() and own.lower() == repo.lower() else repo


def _file(told: RepoSibling) -> RemoteFile:
    """The blob id of a file in LFS is that of its pointer and says nothing of the content."""
    size = told.lfs.size if told.lfs else told.size
    if not isinstance(told.rfilename, str) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
        raise ValueError("no size")
    if told.lfs:
        return RemoteFile(path=told.rfilename, size=size, sha256=_matching(_SHA256, told.lfs.sha256))
    return RemoteFile(path=told.rfilename, size=size, git_sha1=_matching(_COMMIT, told.blob_id))


def _matching(pattern: re.Pattern[str], text: str | None) -> str:
    if not text or not pattern.fullmatch(text):
        raise ValueError("no hash")
    return text


def _client(asked: Asked) -> httpx2.AsyncClient:
    """One for each file: it belongs to the running loop, and closing it closes its connections."""
    from huggingface_hub import get_async_session

    return _session(asked, get_async_session)


def _session(asked: Asked, make: Callable[[], T]) -> T:
    """A client of HTTP. Blocks for 20 ms, in which the certificates are read."""
    try:
        return make()
    except (ValueError, ImportError, OSError) as error:
        raise unreachable(asked, "this machine's settings for a proxy or for certificates cannot be used") from error


@contextmanager
def _connection(asked: Asked, stall: float) -> Generator[None, None, None]:
    """Failures on the way become Interrupted."""
    import httpx2

    try:
        yield
    except httpx2.ConnectTimeout as error:
        raise Interrupted(f"{asked.host} does not answer", unreachable=True) from error
    except httpx2.TimeoutException as error:
        raise Interrupted(f"no bytes came for {stall:g} s") from error
    except (httpx2.ConnectError, httpx2.ProxyError, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise Interrupted(why_not_reached(error), unreachable=True) from error
    except httpx2.RequestError as error:
        raise Interrupted("the connection was cut") from error


Answer = tuple["httpx2.Response", int, int | None]
"""The response, where its bytes begin in the file, and how many must come, if it says."""


@asynccontextmanager
async def _answer(
    client: httpx2.AsyncClient, access: _Access, asked: Asked, start: int, stall: float
) -> AsyncGenerator[Answer, None]:
    """Ask from ``start`` on; from the beginning if what then comes does not begin there."""
    for begin in dict.fromkeys((start, 0)):
        response = await _send(client, access, asked, begin, stall)
        try:
            if (found := _placed(response, asked, begin)) is not None:
                yield response, *found
                return
        finally:
            await response.aclose()
    raise Interrupted("the answer begins elsewhere than was asked for")


async def _send(client: httpx2.AsyncClient, access: _Access, asked: Asked, start: int, stall: float) -> httpx2.Response:
    """A GET. The client follows redirects, and shows the token to the Hub's own host alone."""
    import httpx2
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(asked.repo, asked.path or "", revision=asked.revision, endpoint=access.endpoint)
    headers = {**access.headers, "accept-encoding": "identity"}
    if start:
        headers["range"] = f"bytes={start}-"
    timeout = httpx2.Timeout(stall, connect=min(stall, CONNECT_TIMEOUT))
    return await client.send(client.build_request("GET", url, headers=headers, timeout=timeout), stream=True)


def _placed(response: httpx2.Response, asked: Asked, start: int) -> tuple[int, int | None] | None:
    """Where the answer's bytes begin, and how many must come; None if it begins elsewhere than at ``start``."""
    if response.status_code >= REFUSED_FROM:
        raise _refused(response, asked, start)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise HubError("Something on the way to the Hub changes what it sends. Ask whoever runs the proxy.")
    if response.status_code == _WHOLE:
        return 0, None  # that it is as long as its Content-Length is checked by the HTTP library
    if response.status_code != _PART:
        raise HubError(f"The Hub ({asked.host}) answers with the status {response.status_code}. Check HF_ENDPOINT.")
    told = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip().lower())
    if told is None or int(told.group(1)) != start:
        return None
    end = int(told.group(2)) + 1 if told.group(3) == "*" else int(told.group(3))
    return start, end - start


def _refused(response: httpx2.Response, asked: Asked, start: int) -> Exception:
    """What a status of 400 or above means. Addresses at the file store are short-lived: a new one may work."""
    status, headers = response.status_code, response.headers
    if status == RANGE_REFUSED and start:
        return RangeNotSatisfiable(f"{asked.path} has no byte {start}")
    elsewhere = not str(response.url).startswith(f"{asked.endpoint}/")
    if elsewhere or may_pass(status) or status == RANGE_REFUSED:
        return Interrupted(f"{response.url.host} answered with the status {status}", retry_after=retry_after(headers))
    return refusal(asked, status, headers)
