"""The null generation: what of /health belongs to which time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.health_watch import EVERY
from benchmarks.null_stream import PAUSE, _open_within
from benchmarks.serving import watch
from tests.front_door import PATIENCE


def test_a_question_that_waits_when_a_burst_begins_is_of_the_burst() -> None:
    asked_long_before, asked_within, asked_after = (1.0, 80.0), (1.07, 3.0), (1.2, 1.0)
    assert _open_within([asked_long_before, asked_within, asked_after], 1.06, 1.1) == [80.0, 3.0]


def test_a_burst_is_never_between_two_questions() -> None:
    assert PAUSE > EVERY


def test_the_watcher_has_been_answered_before_the_first_burst() -> None:
    """Also where there is only one: its process takes longer to start than a burst lasts."""
    asked: list[str] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        with watch(f"http://127.0.0.1:{server.server_port}") as watcher:
            assert asked[0] == "/health"
            seen = json.loads(watcher.communicate(timeout=PATIENCE)[0])
        server.shutdown()
    assert len(seen) == len(asked) - 1
