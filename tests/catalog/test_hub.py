"""The Hub as a client sees it: listings, bytes, and what is said when it does not work. All over real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fluid_server.catalog.hub import MAX_PIECE, fetch, listing
from fluid_server.catalog.remote import Begin, Interrupted, Listing, RangeNotSatisfiable, RemoteFile
from fluid_server.errors import (
    HubError,
    HubTokenRejected,
    HubUnreachable,
    Offline,
    RepositoryGated,
    RepositoryNotFound,
)
from tests.front_door import PATIENCE, clean_environment, until
from tests.hub_server import API, CDN, FILE, GOOD_TOKEN, Fault, HubServer, use_endpoint

T = TypeVar("T")
REPO = "owner/repo"
BIG = "weights/model.gguf"
SMALL = "config.json"
CONTENT = {BIG: bytes(range(256)) * 8192, SMALL: b'{"a": 1}', "empty.txt": b""}
SIZE = len(CONTENT[BIG])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with one public repository."""
    with HubServer() as server:
        server.add(REPO, CONTENT)
        server.use(monkeypatch)
        yield server


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(bounded())


def list_it(repo: str = REPO, revision: str = "main", timeout: float = PATIENCE) -> Listing:
    return run(listing(repo, revision, timeout=timeout))


class Fetched:
    """What came of a file, also when it ended badly."""

    def __init__(self) -> None:
        self.begin: int | None = None
        self.pieces: list[bytes] = []

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    async def take(self, path: str, *, start: int = 0, stall: float = PATIENCE, repo: str = REPO) -> Fetched:
        async with aclosing(fetch(repo, "main", path, start=start, stall=stall)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Begin):
                    assert self.begin is None
                    self.begin = piece.start
                else:
                    self.pieces.append(piece)
        return self


def get(path: str, *, start: int = 0, stall: float = PATIENCE, repo: str = REPO) -> Fetched:
    return run(Fetched().take(path, start=start, stall=stall, repo=repo))


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


# Listings


def test_a_listing_says_what_each_file_is(hub: HubServer) -> None:
    found = list_it()
    assert (found.repo, found.revision, found.licence) == (REPO, hub.repositories[REPO].sha, "apache-2.0")
    assert {file.path: file for file in found.files} == {
        BIG: RemoteFile(path=BIG, size=SIZE, sha256=hashlib.sha256(CONTENT[BIG]).hexdigest()),
        SMALL: RemoteFile(path=SMALL, size=8, git_sha1=git_sha1(CONTENT[SMALL])),
        "empty.txt": RemoteFile(path="empty.txt", size=0, git_sha1=git_sha1(b"")),
    }


@pytest.mark.parametrize("branch", ["dev", "v1.0", "refs/pr/1"])
def test_a_branch_is_pinned_to_its_commit(hub: HubServer, branch: str) -> None:
    hub.add(REPO, {"other.txt": b"x"}, branch=branch, licence=None)
    found = list_it(revision=branch)
    assert found.revision == hub.repositories[REPO].branches[branch] != hub.repositories[REPO].sha
    assert [file.path for file in found.files] == ["other.txt"]
    assert found.licence is None
    assert list_it(revision=found.revision) == found


def test_the_hub_learns_who_asks(hub: HubServer) -> None:
    list_it()
    (seen,) = hub.asked_for(None, API)
    assert seen.headers["user-agent"].startswith("fluid-server/")
    assert "authorization" not in seen.headers


def test_what_is_not_there_may_also_be_private(hub: HubServer) -> None:
    hub.add("owner/secret", {"a.txt": b""}, private=True)
    for name in ("owner/nothing", "owner/secret"):
        with pytest.raises(RepositoryNotFound, match=r"private.*HF_TOKEN.*hf auth login") as raised:
            list_it(name)
        assert name in raised.value.message


def test_a_token_opens_what_is_private(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("owner/secret", {"a.txt": b"words"}, private=True)
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    assert [file.path for file in list_it("owner/secret").files] == ["a.txt"]
    assert get("a.txt", repo="owner/secret").data == b"words"
    with pytest.raises(RepositoryNotFound, match="permissions"):
        list_it("owner/nothing")


@pytest.mark.parametrize("token", ["hf_wrong", "hf_wröng", "hf wrong\x07"])
def test_a_wrong_token_is_said_to_be_wrong(hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubTokenRejected, match="HF_TOKEN") as listed:
        list_it()
    with pytest.raises(HubTokenRejected, match="HF_TOKEN"):
        get(BIG)
    assert token not in listed.value.message


def test_a_revision_that_is_not_there(hub: HubServer) -> None:
    with pytest.raises(RepositoryNotFound, match="no revision 'dev'"):
        list_it(revision="dev")


def test_a_repository_that_the_hub_has_closed(hub: HubServer) -> None:
    hub.repositories[REPO].disabled = True
    with pytest.raises(HubError, match="disabled"):
        list_it()


@pytest.mark.parametrize("name", ["a/b/c", "-a/b", "a b/c", ""])
def test_a_name_that_no_repository_can_have(hub: HubServer, name: str) -> None:
    with pytest.raises(RepositoryNotFound, match="owner/name"):
        list_it(name)
    assert not hub.requests


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (503, {"Retry-After": "7"}, 7),
        (500, {}, 10),
        (429, {"RateLimit": '"api";r=0;t=55'}, 55),
        (429, {"Retry-After": "3", "RateLimit": '"api";r=0;t=55'}, 3),
    ],
)
def test_a_busy_hub_says_when_to_come_back(hub: HubServer, status: int, headers: dict[str, str], wait: float) -> None:
    hub.faults.append(Fault(at=API, status=status, headers=headers))
    with pytest.raises(HubError, match=f"Try again in {wait} s") as raised:
        list_it()
    assert raised.value.retry_after == wait
    assert list_it().files


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in to the hotel</html>",
        b"[]",
        b"{}",
        b'{"id": "a/b"}',
        b'{"id": "a/b", "sha": "main"}',
        b"\xff",
        b"[" * 200_000,
    ],
)
def test_something_else_answers_instead_of_the_hub(hub: HubServer, body: bytes) -> None:
    hub.faults.append(Fault(at=API, status=200, body=body))
    with pytest.raises(HubError, match="HF_ENDPOINT"):
        list_it()


@pytest.mark.parametrize("claims", [{"size": -1}, {"size": "8"}, {"size": None}, {"blobId": "x"}, {"blobId": None}])
def test_a_listing_of_nonsense_is_refused(hub: HubServer, claims: dict[str, Any]) -> None:
    hub.repositories[REPO].files[SMALL].claims = claims
    with pytest.raises(HubError, match="does not answer like the Hub"):
        list_it()


def test_absurd_sizes_are_passed_on_for_the_disk_to_refuse(hub: HubServer) -> None:
    hub.repositories[REPO].files[BIG].claims = {"size": 10**18}
    assert max(file.size for file in list_it().files) == 10**18


# The ways not to reach it


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A Hub that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        use_endpoint(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield listener


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a Hub that has ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    use_endpoint(monkeypatch, f"http://{address}")
    return address


def test_a_hub_that_is_not_running(gone: str) -> None:
    with pytest.raises(HubUnreachable, match=f"{gone}.*cannot be reached.*Check the network") as listed:
        list_it()
    assert listed.value.retry_after
    with pytest.raises(Interrupted) as fetched:
        get(BIG)
    assert fetched.value.unreachable


def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    use_endpoint(monkeypatch, "http://hub.invalid")
    with pytest.raises(HubUnreachable, match=r"hub\.invalid.*no such host"):
        list_it()
    with pytest.raises(Interrupted) as fetched:
        get(BIG)
    assert fetched.value.unreachable


def test_a_hub_that_does_not_answer_is_not_waited_for(deaf: socket.socket) -> None:
    with pytest.raises(HubUnreachable, match=r"has not answered|does not answer"):
        list_it(timeout=0.5)
    with pytest.raises(Interrupted, match="no bytes came for"):
        get(BIG, stall=1.0)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "hub")


def about(**told: Any) -> Fault:
    """The Hub's answer to the next question for a listing."""
    file = {"rfilename": "a.json", "size": 5, "blobId": "b" * 40}
    answer = {"id": "Own/G", "sha": "a" * 40, "siblings": [{**file, **told}]}
    return Fault(at=API, status=200, body=json.dumps(answer).encode())


@pytest.mark.parametrize(("asked", "spelt"), [("own/g", "Own/G"), ("Own/G", "Own/G"), ("own/moved", "own/moved")])
def test_a_repository_is_called_as_the_hub_spells_it(hub: HubServer, asked: str, spelt: str) -> None:
    hub.faults.append(about())
    assert asyncio.run(listing(asked)).repo == spelt


@pytest.mark.parametrize("size", [-1, 2**63, 10**400])
def test_a_size_that_no_file_has_is_refused(hub: HubServer, size: int) -> None:
    hub.faults.append(about(size=size))
    with pytest.raises(HubError, match="does not answer like the Hub"):
        asyncio.run(listing("own/g"))


def test_a_listing_can_be_cancelled(deaf: socket.socket) -> None:
    async def work() -> None:
        task = asyncio.create_task(listing(REPO))
        connection, _ = await asyncio.get_running_loop().run_in_executor(None, deaf.accept)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        connection.close()

    run(work())
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "hub"])


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "ftp://hub.invalid", "http://[::1"])
def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_endpoint(monkeypatch, endpoint)
    with pytest.raises(HubError, match="HF_ENDPOINT"):
        list_it()
    with pytest.raises(Interrupted):
        get(BIG)


def test_a_hub_without_tls_behind_an_https_address(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use_endpoint(monkeypatch, hub.endpoint.replace("http:", "https:"))
    with pytest.raises(HubUnreachable, match="does not speak HTTPS"):
        list_it()


@pytest.mark.parametrize("proxy", ["bogus://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used(hub: HubServer, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(HubUnreachable, match="proxy"):
        get(BIG)


def test_a_proxy_that_does_not_answer(hub: HubServer, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", f"http://{gone}")
    monkeypatch.delenv("NO_PROXY")
    with pytest.raises(Interrupted, match="refused"):
        get(BIG)


PROCESS = f"""
import asyncio, json
from fluid_server.catalog.hub import listing
from fluid_server.errors import HubError
try:
    print(json.dumps([file.path for file in asyncio.run(listing({REPO!r})).files]))
except HubError as error:
    print(json.dumps(error.code))
"""


def in_a_process(env: dict[str, str]) -> Any:
    env = clean_environment(env)
    done = subprocess.run([sys.executable, "-c", PROCESS], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_environment_says_where_the_hub_is_and_who_asks(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories[REPO].private = True
    assert in_a_process(hub.environment(tmp_path, token=GOOD_TOKEN)) == list(CONTENT)
    assert in_a_process(hub.environment(tmp_path)) == RepositoryNotFound.code
    (tmp_path / "token").write_text(GOOD_TOKEN, encoding="utf-8")  # what `hf auth login` leaves
    assert in_a_process(hub.environment(tmp_path)) == list(CONTENT)


def test_the_offline_switch_of_the_hub_is_honoured(hub: HubServer, tmp_path: Path) -> None:
    assert in_a_process({**hub.environment(tmp_path), "HF_HUB_OFFLINE": "1"}) == Offline.code
    assert not hub.requests


def test_nothing_is_fetched_offline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Offline, match="HF_HUB_OFFLINE"):
        get(BIG)
    assert not hub.requests


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, fluid_server.catalog.hub as _; print({'huggingface_hub', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Bytes


@pytest.mark.parametrize("path", list(CONTENT))
def test_a_file_comes_whole(hub: HubServer, path: str) -> None:
    fetched = get(path)
    assert (fetched.begin, fetched.data) == (0, CONTENT[path])
    assert all(0 < len(piece) <= MAX_PIECE for piece in fetched.pieces)
    assert hub.asked_for(path)[0].range is None


@pytest.mark.parametrize(("path", "start"), [(BIG, 1), (BIG, 1_000_000), (BIG, SIZE - 1), (SMALL, 3)])
def test_a_file_comes_from_where_it_stopped(hub: HubServer, path: str, start: int) -> None:
    fetched = get(path, start=start)
    assert (fetched.begin, fetched.data) == (start, CONTENT[path][start:])
    assert hub.sent_ranges(path) == [(start, len(CONTENT[path]))]


@pytest.mark.parametrize("start", [SIZE, SIZE + 1, 10**15])
def test_there_is_nothing_behind_the_end(hub: HubServer, start: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        get(BIG, start=start)


@pytest.mark.parametrize("name", ["a b.txt", "é/ü.txt", "100%.txt", "a#b?c.txt", "x+y&z=1.txt"])
def test_any_name_of_a_file_finds_its_way(hub: HubServer, name: str) -> None:
    hub.add("owner/names", {name: b"here"})
    assert get(name, repo="owner/names").data == b"here"


def test_the_token_is_for_the_hub_alone(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    assert get(BIG, start=5).data == CONTENT[BIG][5:]
    (at_hub,), (at_cdn,) = hub.asked_for(BIG, FILE), hub.asked_for(BIG, CDN)
    assert at_hub.headers["authorization"] == f"Bearer {GOOD_TOKEN}"
    assert GOOD_TOKEN not in str(at_cdn)
    assert (at_hub.range, at_cdn.range) == ("bytes=5-", "bytes=5-")


def test_bytes_are_asked_for_as_they_are(hub: HubServer) -> None:
    get(BIG)
    get(SMALL)
    assert {seen.headers["accept-encoding"] for seen in hub.requests} == {"identity"}


def test_a_proxy_that_compresses_all_the_same_is_found_out(hub: HubServer) -> None:
    hub.faults.append(Fault(BIG, compress=True))
    with pytest.raises(HubError, match="proxy"):
        get(BIG)


@pytest.mark.parametrize("fault", [Fault(BIG, ignore_range=True), Fault(BIG, shift_range=10)])
def test_bytes_that_begin_elsewhere_are_not_taken_for_others(hub: HubServer, fault: Fault) -> None:
    hub.faults.append(fault)
    fetched = get(BIG, start=1000)
    assert (fetched.begin, fetched.data) == (0, CONTENT[BIG])


def test_a_part_that_does_not_say_where_it_begins_is_not_taken(hub: HubServer) -> None:
    hub.faults.append(Fault(BIG, lie_about_range=True))
    assert get(BIG, start=1000).begin == 0
    assert [seen.range for seen in hub.asked_for(BIG, FILE)] == ["bytes=1000-", None]


@pytest.mark.parametrize("start", [0, 1000])
@pytest.mark.parametrize("path", [BIG, SMALL])
def test_a_cut_connection_is_an_interruption(hub: HubServer, path: str, start: int) -> None:
    start = min(start, 3)
    hub.faults.append(Fault(path, cut_after=4))
    fetched = Fetched()
    with pytest.raises(Interrupted, match="cut") as raised:
        run(fetched.take(path, start=start))
    assert CONTENT[path][start:].startswith(fetched.data)
    assert len(fetched.data) <= 4
    assert not raised.value.unreachable


def test_a_part_that_is_shorter_than_was_asked_is_an_interruption(hub: HubServer) -> None:
    hub.faults.append(Fault(BIG, end_after=100))
    fetched = Fetched()
    with pytest.raises(Interrupted, match="too early"):
        run(fetched.take(BIG, start=50))
    assert fetched.data == CONTENT[BIG][50:150]


def test_a_stall_is_an_interruption(hub: HubServer) -> None:
    hub.hold(BIG, after=4096)
    fetched = Fetched()
    with pytest.raises(Interrupted, match="no bytes came"):
        run(fetched.take(BIG, stall=1.0))
    assert fetched.data == CONTENT[BIG][:4096]


@pytest.mark.parametrize("at", [FILE, CDN])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_an_interruption(hub: HubServer, status: int, at: str) -> None:
    hub.faults.append(Fault(BIG, at=at, status=status, headers={"Retry-After": "4"}))
    with pytest.raises(Interrupted, match=str(status)) as raised:
        get(BIG)
    assert raised.value.retry_after == 4
    assert get(BIG).data == CONTENT[BIG]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 416])
def test_an_address_at_the_file_store_may_just_be_too_old(hub: HubServer, status: int) -> None:
    hub.faults.append(Fault(BIG, at=CDN, status=status))
    with pytest.raises(Interrupted, match=str(status)):
        get(BIG)


@pytest.mark.parametrize(("status", "word"), [(204, "204"), (304, "304"), (400, "400"), (403, "proxy"), (410, "410")])
def test_other_answers_end_it(hub: HubServer, status: int, word: str) -> None:
    hub.faults.append(Fault(BIG, at=FILE, status=status, body=b""))
    with pytest.raises(HubError, match=word):
        get(BIG)


def test_a_redirect_that_leads_nowhere_is_an_interruption(
    hub: HubServer, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(monkeypatch)
    hub.faults += [Fault(BIG, redirect=f"http://{gone}/x"), Fault(BIG, redirect="http://[", times=1)]
    for _ in range(2):
        with pytest.raises(Interrupted):
            get(BIG)


def test_a_redirect_in_a_circle_is_an_interruption(hub: HubServer) -> None:
    hub.faults.append(Fault(BIG, redirect=f"{hub.endpoint}/{REPO}/resolve/main/{BIG}", times=100))
    with pytest.raises(Interrupted):
        get(BIG)


def test_a_gated_repository_says_where_its_terms_are(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = hub.add("owner/gated", {"a.txt": b"words"}, gated=True)
    page = f"{hub.endpoint}/owner/gated"
    with pytest.raises(RepositoryGated, match="HF_TOKEN") as without:
        get("a.txt", repo="owner/gated")
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    with pytest.raises(RepositoryGated, match="account") as outside:
        get("a.txt", repo="owner/gated")
    assert page in without.value.message
    assert page in outside.value.message
    repository.members.add(GOOD_TOKEN)
    assert get("a.txt", repo="owner/gated").data == b"words"


def test_a_gated_repository_is_found_out_before_anything_is_fetched(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.add("owner/gated", {"a.txt": b"words"}, gated=True)
    with pytest.raises(RepositoryGated, match="accept its terms"):
        list_it("owner/gated")
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    with pytest.raises(RepositoryGated, match="account"):
        list_it("owner/gated")
    repository.members.add(GOOD_TOKEN)
    assert [file.path for file in list_it("owner/gated").files] == ["a.txt"]


def test_a_file_that_is_not_there(hub: HubServer) -> None:
    with pytest.raises(RepositoryNotFound, match=r"no file 'nothing\.gguf'"):
        get("nothing.gguf")
    with pytest.raises(RepositoryNotFound, match="private"):
        get(BIG, repo="owner/nothing")


# Leaving


def test_cancelling_closes_the_connection_at_once(hub: HubServer) -> None:
    hold = hub.hold(BIG, after=4096)

    async def work() -> None:
        task = asyncio.create_task(Fetched().take(BIG))
        assert await asyncio.to_thread(hold.reached.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.release()  # who is still connected would now get the rest, and keep the connection
        await asyncio.to_thread(until, lambda: hub.connections == 0)

    run(work())
    assert hub.sent_bytes(BIG) < SIZE


def test_who_stops_early_closes_the_connection(hub: HubServer) -> None:
    async def work() -> None:
        async with aclosing(fetch(REPO, "main", BIG)) as pieces:
            assert [await anext(pieces), type(await anext(pieces))] == [Begin(0), bytes]
        await asyncio.to_thread(until, lambda: hub.connections == 0)

    run(work())


def test_many_files_come_at_once(hub: HubServer) -> None:
    holds = [hub.hold(BIG, after=100) for _ in range(5)]

    async def work() -> list[Fetched]:
        tasks = [asyncio.create_task(Fetched().take(BIG)) for _ in holds]
        for hold in holds:
            assert await asyncio.to_thread(hold.reached.wait, PATIENCE)
        for hold in holds:
            hold.release()
        return await asyncio.gather(*tasks)

    assert {fetched.data for fetched in run(work())} == {CONTENT[BIG]}
