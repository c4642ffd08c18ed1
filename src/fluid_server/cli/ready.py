"""What a server tells the program that has started it: where it is, as one line of JSON on standard output."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from fluid_server import __version__
from fluid_server.config import ServerConfig


@dataclass(frozen=True, slots=True)
class Ready:
    """Programs rely on these names and their meanings: more may come, none goes or changes.

    ``url`` is where it answers, ``base_url`` what an OpenAI client is given; ``models`` and ``data`` are folders.
    ``data`` is None where no ``--data-dir`` was given.
    """

    url: str
    base_url: str
    host: str
    port: int
    pid: int
    version: str
    models: str
    data: str | None


def ready(config: ServerConfig, url: str, port: int) -> Ready:
    """What this process says once it listens at ``url``."""
    return Ready(
        url=url,
        base_url=f"{url}/v1",
        host=config.host,
        port=port,
        pid=os.getpid(),
        version=__version__,
        models=_whole(config.model_path),
        data=_whole(config.data_dir) if config.data_dir else None,
    )


def _whole(folder: Path) -> str:
    return str(folder.absolute())


def line_of(told: Ready) -> str:
    """The line, in ASCII alone: it is read the same whatever the reader takes for the encoding."""
    return json.dumps(asdict(told)) + "\n"


def tell(told: Ready, out: TextIO) -> None:
    """Write the line so that it is read at once. A reader that has gone is no failure: --parent-pid is for that."""
    try:
        out.write(line_of(told))
        out.flush()
    except OSError:
        print("Nobody reads standard output, so --ready-json has told nobody.", file=sys.stderr)
