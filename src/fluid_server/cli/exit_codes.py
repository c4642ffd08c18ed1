"""What the process says with its exit code. Programs that start the server rely on these: they are never given another
meaning.

They keep clear of what others say: 3 is what ``abort()`` gives on Windows, 64 to 78 are sysexits', 120 is Python's own,
126 and more are the shell's and signals', and Windows' own are larger than 255.
"""

from __future__ import annotations

from enum import IntEnum

from fluid_server.errors import ConfigError, DiskFull, FluidError, FolderUnusable, ParentGone, PortUnusable


class ExitCode(IntEnum):
    """An exit code and, in ``meaning``, what it says."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """A number with its meaning beside it."""
        made = int.__new__(cls, value)
        made._value_ = value
        made.meaning = meaning
        return made

    WELL = 0, "The command went well; the server was asked to end, or its parent has ended"
    FAILED = (
        1,
        (
            "The command failed, or the server for a reason that has no code of its own: stderr says why. `doctor`: "
            "something failed that the server cannot do without; `rm`: the answer was no"
        ),
    )
    BAD_USAGE = 2, "A flag, a variable or the configuration file is wrong; nothing was started"
    PORT_UNUSABLE = 10, "The address or port cannot be listened on: another program has it, or it needs rights"
    FOLDER_UNUSABLE = 11, "The data folder, the temporary folder or the log file cannot be written"
    DISK_FULL = 12, "The disk of the data folder, the temporary folder or the log file is full"
    PARENT_GONE = 13, "The process of `--parent-pid` does not exist (any more)"
    PACKAGE_MISSING = 14, "The installation is damaged or not complete: a package cannot be imported"
    INTERRUPTED = (
        130,
        (
            "Ctrl-C ended the command; a `pull` is paused then, and keeps what has come (a server that runs "
            "already ends with 0)"
        ),
    )


OF_FAILURE: dict[type[FluidError], ExitCode] = {
    FluidError: ExitCode.FAILED,
    ConfigError: ExitCode.BAD_USAGE,
    PortUnusable: ExitCode.PORT_UNUSABLE,
    FolderUnusable: ExitCode.FOLDER_UNUSABLE,
    DiskFull: ExitCode.DISK_FULL,
    ParentGone: ExitCode.PARENT_GONE,
}


def exit_code_of(error: FluidError) -> ExitCode:
    """The code of the nearest class that the table names."""
    return next(OF_FAILURE[kind] for kind in type(error).__mro__ if issubclass(kind, FluidError) and kind in OF_FAILURE)
