"""The way in: ``fluid-server``, ``python -m fluid_server``, and the packaged program starting its own workers."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> int:
    """Run what was typed. Ctrl-C ends it without a word also where nothing else looks after that: during imports."""
    try:
        return _run()
    except KeyboardInterrupt:
        return INTERRUPTED


def _run() -> int:
    """Run the command line; ``worker`` and ``probe`` are how the server starts itself and stay light."""
    verb = sys.argv[1:2]
    if verb == ["worker"]:
        from fluid_server.workers.loop import main as worker

        return worker()
    if verb == ["probe"]:
        from fluid_server.workers.probe import main as probe

        return probe()
    from fluid_server.cli.main import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
