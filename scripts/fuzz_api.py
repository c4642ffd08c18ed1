"""Hold our server against its own description with drawn requests: no 5xx, no undocumented status, no other shape.

uv run scripts/fuzz_api.py [--seconds 600] [--seed N] [--engines]

A real server with the echo model, an empty models folder and the network switched off; with --engines it serves copies
of the demo models too. schemathesis draws the requests. What is left out: the event feed, which never ends. The exit
code is 1 where something was found, and where the server's log tells of a defect.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from tests.front_door import ECHO, GGUF, MODELS, OPENVINO, PATIENCE, RunningServer

HOOKS = Path(__file__).with_name("fuzz_hooks.py")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
FLAGS = ("--echo", "--offline", "--idle-timeout", "0", "--no-warm-up")
ENDLESS = "/v1/events"
GRACE = 120  # seconds by which schemathesis may be late: it finishes what it has begun
LINE = re.compile(r"POST /v1(/(?:chat/completions|completions|responses|conversations|tokenize)) (\d+) ")
DEFECT = ("defect on", "Traceback")


def made(base_url: str) -> dict[str, list[str]]:
    """Things to be found by their ids: a conversation with an item, a stored answer, a response."""
    with httpx.Client(base_url=base_url, timeout=PATIENCE) as http:

        def post(path: str, **body: object) -> str:
            return str(http.post(path, json=body).raise_for_status().json()["id"])

        talk = post("/conversations", items=[{"type": "message", "role": "user", "content": "Hello", "id": "msg_1"}])
        messages = [{"role": "user", "content": "Hello"}]
        return {
            "conversation_id": [talk],
            "item_id": ["msg_1"],
            "completion_id": [post("/chat/completions", model=ECHO, messages=messages, store=True)],
            "response_id": [post("/responses", model=ECHO, input="Hello")],
        }


def fuzz(server: RunningServer, models: Sequence[str], seconds: int, seed: int | None, folder: Path) -> int:
    """Run schemathesis on a server; its exit code."""
    known = {**made(server.base_url), "model": list(models)}
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.address}/openapi.json"),
        *("--max-time", str(seconds), "--phases", "coverage,fuzzing", "--checks", CHECKS),
        *("--exclude-path", ENDLESS, "--request-timeout", str(PATIENCE), "--continue-on-failure", "--no-color"),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "FUZZ_KNOWN": json.dumps(known), "PYTHONUTF8": "1"}
    return subprocess.run(command, cwd=folder, env=env, timeout=seconds + GRACE, check=False).returncode


def defects(server: RunningServer) -> list[str]:
    """Lines of the server's log that tell of a defect."""
    return [line for line in list(server.log) if any(sign in line for sign in DEFECT)]


def answers(server: RunningServer) -> Counter[str]:
    """How often each endpoint that makes something answered with which status, by the server's own log."""
    found = (LINE.search(line) for line in list(server.log))
    return Counter(f"{match[1]} {match[2]}" for match in found if match)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, help="the seed of a run that is to be repeated")
    parser.add_argument("--engines", action="store_true", help="also on copies of the demo models")
    args = parser.parse_args(given)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made_folder:
        folder = Path(made_folder)
        models = folder / "models"
        models.mkdir()
        if args.engines:
            shutil.copytree(MODELS / "llm", models / "llm")
        server = RunningServer.start(*FLAGS, folder=folder, models=models)
        try:
            served = (ECHO, OPENVINO, GGUF) if args.engines else (ECHO,)
            code = fuzz(server, served, args.seconds, args.seed, folder)
            alive = server.is_live()
        finally:
            server.stop()
    found = defects(server)
    for answer, count in sorted(answers(server).items()):
        print(f"{count:>7} {answer}")
    print("\n".join(found))
    print("" if alive else "The server is gone.")
    return 0 if code == 0 and alive and not found else 1


if __name__ == "__main__":
    sys.exit(main())
