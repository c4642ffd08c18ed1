"""Asks /health again and again until stdin closes, then prints [when, milliseconds] of each as JSON.

The first one, in which everything is new, is not counted. A line says that the next has been answered.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

EVERY = 0.02


def main() -> None:
    """Watch the server whose address is the first argument."""
    address = urlsplit(sys.argv[1])
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    _asked(connection)
    latencies = [_asked(connection)]
    print("watching", flush=True)
    while not over.wait(EVERY):
        latencies.append(_asked(connection))
    print(json.dumps(latencies))


def _asked(connection: http.client.HTTPConnection) -> tuple[float, float]:
    started = time.perf_counter()
    connection.request("GET", "/health")
    connection.getresponse().read()
    return started, (time.perf_counter() - started) * 1000


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main()
