"""The way in: ``fluid-server``, ``python -m fluid_server``, and the packaged program starting its own workers."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

INTERRUPTED, PACKAGE_MISSING = 130, 14  # see cli/exit_codes.py, which is not there where a package is missing early


def main() -> int:
    """Run what was typed. Ctrl-C ends it without a word also where nothing else looks after that: during imports.

    A package that is not there or damaged is told in a line, wherever it is missed.
    """
    _fill_streams()
    try:
        return _run()
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:  # Python 3.11 makes this of an interruption while a class is made
        if isinstance(error.__cause__, KeyboardInterrupt):
            return INTERRUPTED
        raise
    except ImportError as error:
        print(f"fluid-server: {_why_not_imported(error)}", file=sys.stderr)
        return PACKAGE_MISSING


def _why_not_imported(error: ImportError) -> str:
    """A library of the system can be installed; else the installation is to blame."""
    from fluid_server.libraries import what_is_missing

    if missing := what_is_missing(error):
        return f"It cannot start: {missing}."
    return (
        f"A package cannot be imported: {error}. The installation is damaged or not complete: install Fluid Server "
        "again."
    )


def _fill_streams() -> None:
    """A windowed program, or one whose parent has closed them, has no standard streams. What is written then goes
    nowhere: without this it would fail, or land in whatever file takes their number next."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end


def _run() -> int:
    """Run the command line; ``worker`` and ``probe`` are how the server starts itself and stay light."""
    if getattr(sys, "frozen", False):  # what multiprocessing starts of itself is this program, too
        from multiprocessing import freeze_support

        freeze_support()
    verb = sys.argv[1:2]
    if verb == ["worker"]:
        from fluid_server.workers.loop import main as worker

        return worker()
    if verb == ["probe"]:
        from fluid_server.workers.probe import main as probe

        return probe()
    gc.disable()  # nothing that is imported ends before the program does: to look for what has ended finds nothing
    from fluid_server.cli.main import main as command_line

    gc.enable()
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
