"""Take the documentation's pictures of the terminal again: docs/guides/*.svg.

uv run scripts/pictures.py              all of them
uv run scripts/pictures.py pull ps      only these

The program runs in tmux (which must be installed) as a person would run it, on the demo models. What it downloads comes
from the Hub of the tests, which sends zeros, slowly: such a download is never let come to its end.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.front_door import MODELS, RunningServer, until  # noqa: E402 - found through the line above
from tests.hub_content import Hold, HubFile, Repository  # noqa: E402
from tests.hub_server import HubServer  # noqa: E402

GUIDES = ROOT / "docs" / "guides"
FONT_FACES = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # rich would have them fetched from the network
REPO = "OpenVINO/Qwen3-4B-int4-ov"
FILES = {  # the size of each, and how many bytes a second come: the large ones are about those of the repository
    "openvino_model.bin": (2_266_000_000, 41_000_000),
    "tokenizer.json": (11_422_654, 900_000),
    "openvino_tokenizer.bin": (5_568_000, 3_000_000),
    "openvino_model.xml": (2_776_833, 3_000_000),
    "vocab.json": (2_776_000, 3_000_000),
    "merges.txt": (1_671_853, 150_000),
    "config.json": (728, 1_000_000),
}
LARGE = 100_000_000
TICK = 0.05
PROMPT = "$ "


class Terminal:
    """A tmux session of our own with a shell in it."""

    def __init__(self, folder: Path, width: int, height: int, env: Mapping[str, str]) -> None:
        self._socket = f"fluid-pictures-{os.getpid()}"
        self.width = width
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        exports = [f"export {name}={shlex.quote(value)}" for name, value in {**env, "PATH": path}.items()]
        (folder / ".bashrc").write_text("\n".join([*exports, f"PS1='{PROMPT}'\n"]), encoding="utf-8")
        size = ["-x", str(width), "-y", str(height), "-c", str(folder)]
        self._tmux("-f", os.devnull, "new-session", "-d", *size, "bash --rcfile .bashrc")

    def type(self, line: str) -> None:
        """A line and Enter."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def screen(self, *, colours: bool = False) -> str:
        """What is to be seen now."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else [])).rstrip()

    def is_done(self) -> bool:
        """Whether the shell waits for the next command."""
        return self.screen().endswith(f"\n{PROMPT.strip()}")

    def save(self, name: str, *, without: str = "") -> None:
        """The screen as a picture, without the prompt that waits for the next command."""
        text = Text.from_ansi(self.screen(colours=True))
        if without and text.plain.endswith(without):
            text.right_crop(len(without))
        console = Console(record=True, width=self.width, file=io.StringIO(), force_terminal=True)
        console.print(text, no_wrap=True)
        svg = FONT_FACES.sub("", console.export_svg(title="fluid-server", unique_id=name))
        target = GUIDES / f"{name}.svg"
        target.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8", newline="\n")
        print(f"wrote {target.relative_to(ROOT)}")

    def close(self) -> None:
        """End the session and all that runs in it."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


@contextmanager
def terminal(folder: Path, width: int, height: int, env: Mapping[str, str]) -> Generator[Terminal, None, None]:
    shown = Terminal(folder, width, height, env)
    try:
        until(lambda: shown.screen() == PROMPT.strip())
        yield shown
    finally:
        shown.close()


@contextmanager
def slow_hub(folder: Path) -> Generator[HubServer, None, None]:
    """A Hub with one repository, whose files come at the rates above."""
    with HubServer() as hub:
        files = {name: _zeros(folder / name, size) for name, (size, _) in FILES.items()}
        repository = hub.repositories[REPO] = Repository(REPO)
        repository.commit(files, "main")
        over = threading.Event()
        holds = {name: hub.hold(name, times=100) for name in FILES}
        pacer = threading.Thread(target=_pace, args=(holds, over), daemon=True)
        pacer.start()
        try:
            yield hub
        finally:
            over.set()
            pacer.join()


def _zeros(path: Path, size: int) -> HubFile:
    """A file that takes no room. A large one's hash is wrong, which nobody finds out before all of it has come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    if size < LARGE:
        return HubFile.of(path.name, path)
    return HubFile(path, lfs=True, size=size, sha256="0" * 64, git_sha1="0" * 40)


def _pace(holds: Mapping[str, Hold], over: threading.Event) -> None:
    sent = dict.fromkeys(holds, 0)
    while not over.wait(TICK):
        for name, hold in holds.items():
            if hold.reached.is_set():
                sent[name] += round(FILES[name][1] * TICK)
                hold.release(to=sent[name])


def pull(folder: Path) -> None:
    """Bars in the middle of a download."""
    (folder / "models").mkdir()
    with slow_hub(folder / "hub") as hub, terminal(folder, 112, 12, _environment(hub, folder)) as shown:
        shown.type("fluid-server pull qwen3-4b-ov")
        until(lambda: re.search(r"merges\.txt.* [4-9]\d\d\.\d kB.* left", shown.screen(), re.DOTALL))
        shown.save("pull")


def ps(folder: Path) -> None:
    """Models in several states, and a download."""
    shutil.copytree(MODELS, folder / "models", ignore=shutil.ignore_patterns("cache", ".*"))
    with slow_hub(folder / "hub") as hub, terminal(folder, 112, 12, _environment(hub, folder)) as shown:
        flags = ("--no-warm-up", "--parallel", "2", "--pin", "fluid-tiny-whisper-ov")
        server = RunningServer.start(*flags, env=_environment(hub, folder), models=folder / "models", folder=folder)
        try:
            _at_work(server)
            until(lambda: _with_a_load(server, shown), timeout=120)
            shown.save("ps", without=f"\n{PROMPT.strip()}")
        finally:
            server.stop()


def _at_work(server: RunningServer) -> None:
    """A model that is pinned, one with a queue, and a download that has found its pace."""
    until(lambda: _state(server, "fluid-tiny-whisper-ov") == "ready")
    httpx.post(f"{server.base_url}/models/pull", json={"model": "qwen3-4b-ov"}, timeout=30).raise_for_status()
    httpx.post(f"{server.base_url}/models/fluid-tiny-gguf:Q8_0/load", json={"keep_alive": "2h"}, timeout=60)
    until(lambda: httpx.get(f"{server.base_url}/downloads").json()["data"][0]["bytes_done"] > 150_000_000)


def _with_a_load(server: RunningServer, shown: Terminal) -> bool:
    """Ask for two more models and look at once, again if they were too quick."""
    httpx.post(f"{server.base_url}/models/fluid-tiny-ov/unload", timeout=60)
    askers = [_ask(server, model) for model in (*["fluid-tiny-gguf:F16"] * 5, "fluid-tiny-ov")]
    shown.type("clear")
    until(lambda: _state(server, "fluid-tiny-gguf:F16") == "ready")
    shown.type("fluid-server ps")
    until(lambda: "DOWNLOAD" in shown.screen() and shown.is_done())
    for asker in askers:
        asker.join()
    return bool(re.search(r"queued.*\b(loading|warming)\b", shown.screen(), re.DOTALL))


def _ask(server: RunningServer, model: str) -> threading.Thread:
    """A long answer that nobody reads."""
    body = {"model": model, "prompt": "Count", "max_tokens": 1900, "ignore_eos": True}
    send: Callable[[], object] = lambda: httpx.post(f"{server.base_url}/completions", json=body, timeout=120)  # noqa: E731
    asker = threading.Thread(target=send)
    asker.start()
    return asker


def _state(server: RunningServer, model: str) -> str:
    return str(json.loads(httpx.get(f"{server.base_url}/models/{model}", timeout=30).text)["state"])


def bench(folder: Path) -> None:
    """The figures of a demo model, measured where this is made: nothing else should run there."""
    shutil.copytree(MODELS, folder / "models", ignore=shutil.ignore_patterns("cache", ".*"))
    server = RunningServer.start("--no-warm-up", models=folder / "models", folder=folder, env={"FLUID_PORT": "0"})
    try:
        with terminal(folder, 112, 32, {"FLUID_PORT": "0"}) as shown:
            shown.type("fluid-server bench fluid-tiny-gguf:F16")
            until(lambda: "Whole answer" in shown.screen() and shown.is_done(), timeout=120)
            shown.save("bench", without=f"\n{PROMPT.strip()}")
    finally:
        server.stop()


def list_available(folder: Path) -> None:
    """What can be fetched, and what fits the machine on which this is made."""
    (folder / "models").mkdir()
    with terminal(folder, 132, 70, {"FLUID_PORT": "0"}) as shown:
        shown.type("fluid-server list --available")
        until(lambda: "pull NAME" in shown.screen() and shown.is_done())
        shown.save("list-available", without=f"\n{PROMPT.strip()}")


def _environment(hub: HubServer, folder: Path) -> dict[str, str]:
    return {**hub.environment(folder / "home"), "FLUID_PORT": "0"}


PICTURES: Mapping[str, Callable[[Path], None]] = {
    "pull": pull, "ps": ps, "bench": bench, "list-available": list_available,
}  # fmt: skip


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("pictures", nargs="*", choices=[*PICTURES, []], help="only these")
    for name in command.parse_args().pictures or PICTURES:
        with tempfile.TemporaryDirectory(prefix="fluid-pictures-") as folder:
            PICTURES[name](Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
