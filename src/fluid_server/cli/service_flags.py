"""The flags of fluid-server service."""

from __future__ import annotations

import argparse

ACTIONS = {
    "install": "have the system start it from now on, and start it",
    "remove": "end it and have the system forget it; models, conversations and keys stay",
    "status": "whether it runs, and where it answers",
    "start": "start it, now and from now on",
    "stop": "end it; it stays off until it is started",
    "restart": "end it and start it",
    "logs": "its last lines",
}
LINES = 50
WAIT = 20.0  # seconds; a server answers within 2 where the disk is warm

NOTES = f"""\
{chr(10).join(f"  {action:<9} {meaning}" for action, meaning in ACTIONS.items())}

What follows -- are flags of 'fluid-server serve'. The service gets the settings that 'fluid-server serve'
would have here and now: those flags, the environment, .env and fluid.toml of this folder. Keys and other
secrets go to a file that only its owner may read, all else becomes flags. To change a setting, install again.

On Linux it is a unit of systemd, on Windows a task of the Task Scheduler, on macOS a launch agent. status
ends with 0 where it runs, 3 where it does not, 4 where none is installed.

examples:
  fluid-server service install                              from now on, with this user's session
  fluid-server service install -- --port 9000 --device GPU  with these settings
  fluid-server service install --system                     with the machine (as root)
  fluid-server service install --print                      only what the system would be told
  fluid-server service status
  fluid-server service remove
"""


def arguments(sub: argparse.ArgumentParser) -> None:
    """Add them to the verb's parser."""
    sub.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    sub.add_argument("--name", default="fluid-server", help="for several on one machine (default: fluid-server)")
    sub.add_argument(
        "--system",
        action="store_true",
        default=False,
        help="from the start of the machine, whoever is logged on (default: with this user's session)",
    )
    sub.add_argument(
        "--user",
        metavar="NAME",
        default=None,
        help="on Linux, with --system: as whom it runs (default: a user that systemd makes for it)",
    )
    sub.add_argument(
        "--start",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="after install, start it and wait until it answers; --no-start leaves it off (default: yes)",
    )
    sub.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=WAIT,
        help=f"how long to wait until it answers (default: {WAIT:.0f})",
    )
    sub.add_argument(
        "--lines", metavar="N", type=int, default=LINES, help=f"how many lines logs shows (default: {LINES})"
    )
    sub.add_argument(
        "--print",
        dest="only_print",
        action="store_true",
        default=False,
        help="with install: print what the system would be told, and touch nothing",
    )
    sub.add_argument(
        "--json", dest="as_json", action="store_true", default=False, help="with status: write JSON for machines"
    )
