"""The Hugging Face Hub's protocol on localhost: a real HTTP server for HF_ENDPOINT, and a second one as its CDN.

    with HubServer() as hub:
        hub.add("owner/repo", folder)                 # or {"config.json": b"{}", "sub/model.gguf": b"…"}
        hub.use(monkeypatch)                          # in this process
        RunningServer.start(env=hub.environment(tmp)) # in another one

Small files come from the Hub itself, large and binary ones (LFS) by a redirect to the CDN, as on the real one.
What goes wrong is told by faults, each of which is used up by the answers it spoils, in their order::

    hub.faults += [Fault("model.gguf", cut_after=1000), Fault("model.gguf", status=503, headers={"Retry-After": "1"})]
    hub.faults += [Fault(at=API, status=429)]         # the next listing

``hold`` stops an answer in its middle until it is released, and no test has to sleep::

    hold = hub.hold("model.gguf", after=4096)
    …                                                 # start the download
    hold.reached.wait(30)                             # 4096 bytes are sent and no more will be
    hold.release()                                    # or release(to=8192), or never: a stall

``requests`` has every request that came, ``sent_ranges(path)`` what was really sent of a file.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.hub_content import API, CDN, FILE, Fault, Hold, HubFile, Repository, Seen, opened

__all__ = ["API", "CDN", "FILE", "GOOD_TOKEN", "Fault", "Hold", "HubServer", "Repository", "Seen", "use_endpoint"]

GOOD_TOKEN = "hf_good"
CHUNK = 1 << 16
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class HubServer:
    """The Hub, running while the ``with`` block is. ``tokens`` are the ones it knows."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.tokens = {GOOD_TOKEN}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.lock = threading.Lock()
        self._sent: list[tuple[str, list[int]]] = []
        self._holds: list[Hold] = []
        self._hub = _Server(self, _HubHandler)
        self._cdn = _Server(self, _CdnHandler)

    @property
    def endpoint(self) -> str:
        """For HF_ENDPOINT."""
        return self._hub.address

    @property
    def cdn(self) -> str:
        """Where large files are: another port, which is another origin."""
        return self._cdn.address

    def environment(self, home: Path, *, token: str | None = None) -> dict[str, str]:
        """What another process needs to use this Hub and no login of whoever runs the tests."""
        found = {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        return found | {"HF_TOKEN": token or "", "HUGGING_FACE_HUB_TOKEN": "", "TRANSFORMERS_OFFLINE": "0"}

    def use(self, monkeypatch: pytest.MonkeyPatch, *, token: str | None = None) -> None:
        """Make this process use this Hub, and no login of whoever runs the tests.

        huggingface_hub reads the environment once, at its import, so there is no other way than its constants.
        """
        use_endpoint(monkeypatch, self.endpoint)
        if token:
            monkeypatch.setenv("HF_TOKEN", token)

    def add(
        self,
        repo: str,
        files: Path | Mapping[str, bytes],
        *,
        branch: str = "main",
        private: bool = False,
        gated: bool = False,
        licence: str | None = "apache-2.0",
    ) -> Repository:
        """A repository out of a folder's files, or a new commit of it."""
        contents = _contents(files) if isinstance(files, Path) else dict(files)
        made = {name: HubFile.of(name, content) for name, content in contents.items()}
        repository = self.repositories.setdefault(repo, Repository(repo))
        repository.private, repository.gated, repository.licence = private, gated, licence
        repository.commit(made, branch)
        return repository

    def find(self, repo: str, revision: str, path: str) -> HubFile | None:
        """A file at a branch or commit."""
        repository = self.repositories.get(repo)
        commit = repository.at(revision) if repository else None
        return repository.commits[commit].get(path) if repository and commit else None

    def hold(self, path: str, *, after: int = 0, times: int = 1) -> Hold:
        """Stop the next answer about a file after so many bytes."""
        hold = Hold(after)
        self._holds.append(hold)
        self.faults.append(Fault(path, hold=hold, times=times))
        return hold

    def fault(self, at: str, path: str | None, *, body: bool) -> Fault:
        """The fault of this answer, which is used up by it; one that does nothing if there is none."""
        with self.lock:
            found = next((fault for fault in self.faults if fault.fits(at, path, body=body)), Fault())
            found.times -= 1
            return found

    def sending(self, path: str, start: int) -> list[int]:
        """Note that bytes from ``start`` are sent; the second number of the list is where they end."""
        note = [start, start]
        with self.lock:
            self._sent.append((path, note))
        return note

    def sent_ranges(self, path: str) -> list[tuple[int, int]]:
        """For every answer with bytes of the file: where they began and where they ended (exclusive)."""
        with self.lock:
            return [(start, end) for sent, (start, end) in self._sent if sent == path]

    def sent_bytes(self, path: str) -> int:
        """How many bytes of the file were sent in all."""
        return sum(end - start for start, end in self.sent_ranges(path))

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._hub.open) + len(self._cdn.open)

    def asked_for(self, path: str | None, at: str | None = None) -> list[Seen]:
        """The requests for a file (None: the listings)."""
        with self.lock:
            return [seen for seen in self.requests if seen.path == path and at in (None, seen.at)]

    def close(self) -> None:
        """End all connections, held ones too."""
        for server in (self._hub, self._cdn):
            server.cut_all()
        for hold in self._holds:
            hold.release()
        for server in (self._hub, self._cdn):
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def use_endpoint(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Make this process take ``endpoint`` for the Hub, with no token and no proxy."""
    from huggingface_hub import constants

    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(Path(__file__).parent / "no-such-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _contents(folder: Path) -> dict[str, Path | bytes]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


class _Server(ThreadingHTTPServer):
    """One port. It knows its open connections, so that it can end them."""

    daemon_threads = True

    def __init__(self, hub: HubServer, handler: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub
        self.open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=handler.place, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave in the middle are what some tests are about: nothing to tell."""

    def cut_all(self) -> None:
        for connection in list(self.open):
            _cut(connection)

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has gone already


class _Handler(BaseHTTPRequestHandler):
    """What both servers do: note the request, and send a part of a file."""

    protocol_version = "HTTP/1.1"
    place = ""

    @property
    def hub(self) -> HubServer:
        assert isinstance(self.server, _Server)
        return self.server.hub

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: ``requests`` has it all."""

    def note(self, at: str, repo: str | None, path: str | None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.hub.lock:
            self.hub.requests.append(Seen(at, self.command, self.path, repo, path, headers))

    def spoil(self, fault: Fault) -> bool:
        """Answer as the fault says, if it is not one of the body."""
        if fault.redirect is not None:
            self.empty(302, {"Location": fault.redirect, **fault.headers})
        elif fault.status is not None:
            self.say(fault.status, fault.body, fault.headers)
        return not fault.of_body

    def say(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def empty(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_file(self, name: str, file: HubFile, fault: Fault, headers: Mapping[str, str], *, body: bool) -> None:
        asked = None if fault.ignore_range else _RANGE.fullmatch(self.headers.get("Range", ""))
        start = min(int(asked.group(1)) + fault.shift_range, file.size) if asked else 0
        if asked and int(asked.group(1)) >= file.size:
            self.empty(416, {"Content-Range": f"bytes */{file.size}"})
            return
        if fault.compress or ("gzip" in self.headers.get("Accept-Encoding", "") and not file.lfs):
            self._send_compressed(name, file, headers)
            return
        end = file.size if asked is None or not asked.group(2) else min(int(asked.group(2)) + 1, file.size)
        end = end if fault.end_after is None else min(end, start + fault.end_after)
        self.send_response(206 if asked else 200)
        about = {"Content-Length": str(end - start), "Accept-Ranges": "bytes", **headers}
        if asked and not fault.lie_about_range:
            about["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        for key, value in about.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self._send_bytes(name, file, fault, start, end)

    def _send_compressed(self, name: str, file: HubFile, headers: Mapping[str, str]) -> None:
        with opened(file.content) as source:
            data = gzip.compress(source.read())
        self.send_response(200)
        for key, value in {"Content-Length": str(len(data)), "Content-Encoding": "gzip", **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _send_bytes(self, name: str, file: HubFile, fault: Fault, start: int, end: int) -> None:
        sent = self.hub.sending(name, start)
        for chunk in _chunks(file, fault, start, end):
            sent[1] += len(chunk)  # before it is sent: whoever has received it may ask at once
            try:
                self.wfile.write(chunk)
            except OSError:
                sent[1] -= len(chunk)
                raise
        if fault.cut_after is not None:
            self.wfile.flush()
            self.close_connection = True
            _cut(self.connection)


def _chunks(file: HubFile, fault: Fault, start: int, end: int) -> Iterator[bytes]:
    """The bytes to be sent, spoiled as the fault says."""
    end = end if fault.cut_after is None else min(end, start + fault.cut_after)
    at = start
    with opened(file.content) as source:
        source.seek(start)
        while at < end:
            more = fault.hold.wait(at - start) if fault.hold else None
            size = min(CHUNK, end - at, CHUNK if more is None else more)
            chunk = bytearray(source.read(size))
            if fault.flip is not None and at <= fault.flip < at + len(chunk):
                chunk[fault.flip - at] ^= 0xFF
            yield bytes(chunk)
            at += size


class _HubHandler(_Handler):
    """The Hub's own address."""

    place = "hub"

    def answer(self, *, body: bool) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"] and len(parts) in (4, 6):
            self._list("/".join(parts[2:4]), parts[5] if len(parts) == 6 else "main")
        elif parts[:2] == ["api", "models"] and parts[4:] == ["auth-check"]:
            self._check("/".join(parts[2:4]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body=body)
        else:
            self.say(404, {"error": "Sorry, we can't find the page you are looking for."})

    def _list(self, repo: str, revision: str) -> None:
        self.note(API, repo, None)
        if self.spoil(self.hub.fault(API, None, body=False)):
            return
        repository = self._visible(repo)
        commit = self._commit(repository, revision) if repository else None
        if repository is None or commit is None:
            return
        files = repository.commits[commit]
        blobs = parse_qs(urlsplit(self.path).query).get("blobs", [""])[0].lower() in ("true", "1")
        told = [file.listed(name) if blobs else {"rfilename": name} for name, file in files.items()]
        about: dict[str, Any] = {"_id": "0", "id": repo, "modelId": repo, "sha": commit, "siblings": told}
        about |= {"private": repository.private, "gated": "auto" if repository.gated else False, "disabled": False}
        about |= {"tags": ["region:us", *([f"license:{repository.licence}"] if repository.licence else [])]}
        about |= {"downloads": 1, "likes": 0, "createdAt": "2026-01-01T00:00:00.000Z"}
        self.say(200, about)

    def _check(self, repo: str) -> None:
        if (repository := self._visible(repo)) and self._may_read(repository):
            self.say(200, {})

    def _resolve(self, repo: str, revision: str, path: str, *, body: bool) -> None:
        self.note(FILE, repo, path)
        file = self.hub.find(repo, revision, path)
        fault = self.hub.fault(FILE, path, body=bool(file and not file.lfs))
        if self.spoil(fault) or not (repository := self._visible(repo)) or not self._may_read(repository):
            return
        commit = self._commit(repository, revision)
        if commit is None:
            return
        if file is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.sha256 if file.lfs else file.git_sha1}"'}
        if file.lfs:
            linked = {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.sha256}"'}
            address = f"{self.hub.cdn}/{repo}/{commit}/{quote(path)}?signature=secret"
            self.empty(302, {"Location": address, **headers, **linked})
        else:
            self.send_file(path, file, fault, headers, body=body)

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def _visible(self, repo: str) -> Repository | None:
        """The repository, if whoever asks may know of it; else they are answered as by the real Hub."""
        token, found = self._token(), self.hub.repositories.get(repo)
        if token and token not in self.hub.tokens:
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif found is None or (found.private and not token):
            if token:
                self._refuse(404, "RepoNotFound", "Repository not found")
            else:
                self._refuse(401, None, "Invalid username or password.")
        elif found.disabled:
            self._refuse(403, None, "Access to this resource is disabled.")
        else:
            return found
        return None

    def _may_read(self, repository: Repository) -> bool:
        if not repository.gated or self._token() in repository.members:
            return True
        if self._token():
            self._refuse(
                403, "GatedRepo", f"Access to model {repository.name} is restricted. Visit it to ask for access."
            )
        else:
            self._refuse(401, "GatedRepo", f"Access to model {repository.name} is restricted. Please log in.")
        return False

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.at(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _refuse(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.say(status, {"error": message}, headers)


class _CdnHandler(_Handler):
    """Where large files come from. It takes no token and would tell nobody of one: ``requests`` shows it."""

    place = "cdn"

    def answer(self, *, body: bool) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        repo, path = "/".join(parts[:2]), "/".join(parts[3:])
        self.note(CDN, repo, path)
        fault = self.hub.fault(CDN, path, body=True)
        if self.spoil(fault):
            return
        file = self.hub.find(repo, "".join(parts[2:3]), path)
        if file is None or "signature=secret" not in self.path:
            self.say(403, {"error": "AccessDenied"})
        else:
            self.send_file(path, file, fault, {"ETag": f'"{file.sha256}"'}, body=body)
