"""A service on Linux: a unit of systemd, of the user or of the whole system."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import fluid_server
from fluid_server.cli.exit_codes import ExitCode
from fluid_server.cli.service_commands import PRINT, asked, told
from fluid_server.cli.service_files import removed, written
from fluid_server.cli.service_plan import Places, Plan, Scope, State
from fluid_server.errors import FluidError

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_SETTINGS = Path("/etc/fluid-server")
SYSTEM_DATA = Path("/var/lib")
BY_SIGNAL = {"signal", "core-dump", "oom-kill"}
DEVICE_GROUPS = ("render", "video")  # who may use /dev/dri and /dev/accel
ASKED_FOR = ("LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "Result",
             "ExecMainStatus")  # fmt: skip
NO_SESSION = f"A session that was not logged into (su, a container) has no systemd of its user: use --system. {PRINT}"
LASTING = (ExitCode.BAD_USAGE, ExitCode.PACKAGE_MISSING)  # what starting again does not mend

UNIT = """\
# Written by 'fluid-server service install', which replaces it. Your own changes: systemctl {manager}edit {name}
[Unit]
Description={description}
{after}StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart={command}
EnvironmentFile=-{environment}
WorkingDirectory={folder}
Restart=on-failure
RestartSec=5
# Settings that cannot work, or packages that are not there, are not mended by starting again.
RestartPreventExitStatus={lasting}
# Only the server is asked to end, and ends its workers; what is left then is killed.
KillMode=mixed
TimeoutStopSec={stop}
# When the kernel kills a model's worker for want of memory, the server goes on and says so.
OOMPolicy=continue
StandardOutput=journal
StandardError=journal
UMask=0077
{hardening}

[Install]
WantedBy={target}
"""
AFTER = "Wants=network-online.target\nAfter=network-online.target\n"  # for an address that is not the machine itself
# PrivateDevices=, DevicePolicy= and ProtectClock= (which implies a DeviceAllow= in systemd before 253) would hide GPU
# and NPU; MemoryDenyWriteExecute= would forbid the code that OpenVINO compiles at run time.
USER_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictSUIDSGID=yes"""
SYSTEM_HARDENING = """\
StateDirectory={name}
StateDirectoryMode=0700
Environment={home}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
CapabilityBoundingSet="""


class Systemd:
    """One unit, in one of systemd's two managers."""

    def __init__(self, name: str, scope: Scope) -> None:
        self._name = name
        self._scope = scope
        self._manager = ("--user",) if scope is Scope.USER else ()

    @property
    def places(self) -> Places:
        """User units lie where systemd looks for them in the user's configuration folder."""
        if self._scope is Scope.SYSTEM:
            data = SYSTEM_DATA / self._name
            return Places(definition=str(self._unit), settings=SYSTEM_SETTINGS / self._name, data=data)
        from platformdirs import user_config_path

        settings = user_config_path("fluid-server", appauthor=False) / "services" / self._name
        return Places(definition=str(self._unit), settings=settings)

    @property
    def _unit(self) -> Path:
        from platformdirs import user_config_path

        folder = SYSTEM_UNITS if self._scope is Scope.SYSTEM else user_config_path() / "systemd" / "user"
        return folder / f"{self._name}.service"

    def check(self, plan: Plan) -> None:
        """Errors: FluidError where there is no systemd to talk to, or the service's user could not read the program."""
        if plan.user and self._scope is Scope.USER:
            raise FluidError("--user is for a service of the whole system: use it with --system.")
        self._shown("--property=Version")
        if self._scope is Scope.SYSTEM and plan.user is None and (closed := closed_to_others(what_is_read(plan))):
            raise FluidError(
                f"The service would run as a user of its own, which may not read {closed}. Install the program where "
                "all may read it (such as /opt), or name its owner with --user NAME."
            )

    def definition(self, plan: Plan) -> str:
        """The unit."""
        return unit_of(plan, device_groups() if plan.scope is Scope.SYSTEM else ())

    def install(self, plan: Plan) -> None:
        """Write the unit and have it read."""
        written(self._unit, self.definition(plan))
        self._systemctl("daemon-reload")

    def remove(self) -> None:
        """End it, whatever state it is in, and delete the unit."""
        asked("systemctl", *self._manager, "disable", "--now", self._name)
        removed(self._unit)
        self._systemctl("daemon-reload")
        asked("systemctl", *self._manager, "reset-failed", self._name)

    def start(self) -> None:
        """Start it, also where systemd had given it up."""
        asked("systemctl", *self._manager, "reset-failed", self._name)
        self._systemctl("enable", self._name)
        self._systemctl("restart", self._name)

    def stop(self) -> None:
        """End it, and start it no more with the session or system."""
        self._systemctl("disable", "--now", self._name)

    def state(self) -> State:
        """What ``systemctl show`` says."""
        return state_of(self._shown(self._name, f"--property={','.join(ASKED_FOR)}"))

    def log(self, lines: int) -> str:
        """From the journal."""
        return told("journalctl", *self._manager, f"--unit={self._name}", f"--lines={lines}", "--no-pager")

    def _shown(self, *words: str) -> str:
        """What it is asked first, so where there is nobody to ask this says so."""
        return told("systemctl", *self._manager, "show", *words, hint=NO_SESSION if self._manager else PRINT)

    def _systemctl(self, *words: str) -> str:
        return told("systemctl", *self._manager, *words)


def unit_of(plan: Plan, groups: Iterable[str]) -> str:
    """The unit's text. ``groups`` are those of a system service's user that own the devices."""
    user = plan.scope is Scope.USER
    return UNIT.format(
        manager="--user " if user else "",
        name=plan.name,
        description=plan.description,
        after="" if user else AFTER,
        command=" ".join(word(one) for one in plan.command),
        environment=path(plan.environment),
        folder=path(plan.folder),
        lasting=" ".join(str(int(code)) for code in LASTING),
        stop=max(15, round(plan.grace) + 10),
        hardening=USER_HARDENING if user else _system_hardening(plan, groups),
        target="default.target" if user else "multi-user.target",
    )


def _system_hardening(plan: Plan, groups: Iterable[str]) -> str:
    lines = [f"User={plan.user}" if plan.user else "DynamicUser=yes"]
    if named := " ".join(groups):
        lines.append(f"SupplementaryGroups={named}")
    lines.append(SYSTEM_HARDENING.format(name=plan.name, home=word(f"HOME={plan.folder}", command=False)))
    lines.append(USER_HARDENING)
    if elsewhere := [one for one in plan.writable if plan.data is None or not one.is_relative_to(plan.data)]:
        lines.append(f"ReadWritePaths={' '.join(word('-' + str(one), command=False) for one in elsewhere)}")
    return "\n".join(lines)


def word(text: str, *, command: bool = True) -> str:
    """A word of a line that systemd splits: nothing in it is expanded. In a command ``$`` would be."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    text = text.replace("\n", "\\n").replace("\r", "\\r")  # what followed would be a line of the unit's own
    return '"' + (text.replace("$", "$$") if command else text) + '"'


def path(value: Path) -> str:
    """A path that has a line of its own."""
    return str(value).replace("%", "%%")


def state_of(text: str) -> State:
    """What the lines ``KEY=VALUE`` of ``systemctl show`` mean."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    active, sub = said.get("ActiveState", ""), said.get("SubState", "")
    result, code = said.get("Result", ""), said.get("ExecMainStatus", "0")
    detail = f"{active} ({sub})"
    if active in {"failed", "activating"} and result not in {"", "success"}:
        detail += f", killed by signal {code}" if result in BY_SIGNAL else f", {result}, exit code {code}"
    pid = int(said.get("MainPID") or 0)
    return State(
        installed=said.get("LoadState") not in {None, "not-found"},
        running=active == "active",
        enabled=said.get("UnitFileState") == "enabled",
        pid=pid or None,
        restarts=int(said.get("NRestarts") or 0),
        detail=detail,
    )


def device_groups() -> list[str]:
    """Those that are here: with one that is not, a unit does not start."""
    if sys.platform == "win32":
        return []
    import grp

    here = {group.gr_name for group in grp.getgrall()}
    return [group for group in DEVICE_GROUPS if group in here]


def what_is_read(plan: Plan) -> list[Path]:
    """What the service's user must be able to read: the program, the Python below it, our own files."""
    program = Path(plan.command[0])
    return [program, program.resolve(), Path(fluid_server.__file__).resolve(), *plan.writable]


def closed_to_others(files: Iterable[Path]) -> Path | None:
    """The first folder or file on the way to these that not everybody may enter or read."""
    return next((step for file in files for step in _way_to(file) if not _open(step)), None)


def _way_to(file: Path) -> Iterator[Path]:
    yield from reversed(file.parents)
    yield file


def _open(step: Path) -> bool:
    """What is not there yet closes nothing."""
    try:
        mode = step.stat().st_mode
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))
