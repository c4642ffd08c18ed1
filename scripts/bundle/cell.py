"""A place with nothing in it: the program, the C library and zlib; another user; no network. Linux, as root.

The program is copied to a folder that its user cannot write to, and started there by chroot: no Python, no shell and
none of the machine's libraries can be reached, so what runs here brings all that it needs but these two.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "linux":
    raise ImportError("only Linux can make such a place")

import fcntl  # no other system has it, so it stands behind the question

UNSHARE = ("unshare", "--net", "--mount")
NOBODY = 65534
PROGRAM, HOME, TEMPORARY = "/program", "/home/visitor", "/tmp"
LIBRARIES = ("libc.so.6", "libm.so.6", "libmvec.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2",
             "libutil.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libz.so.1")  # fmt: skip
"""The C library's, and zlib, which PyInstaller's loader wants and no distribution is without."""

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP


@dataclass(frozen=True, slots=True)
class Cell:
    """Where it is, and how the program is started in it: ``command`` goes before the arguments."""

    root: Path
    command: tuple[str, ...]
    environment: dict[str, str]


def is_possible() -> bool:
    """Whether this machine lets us make one."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    mount = ("mount", "--bind", "/proc", "/proc")
    return subprocess.run([*UNSHARE, *mount], check=False, capture_output=True).returncode == 0


def enter(command: Sequence[str]) -> int:
    """Run this again without network and with mounts of its own; returns its exit code."""
    return subprocess.run([*UNSHARE, *command], check=False).returncode


def build(program: Path, root: Path) -> Cell:
    """Make it, inside of what ``enter`` runs. ``program`` is the executable; what lies around it comes along."""
    _loopback_up()
    root.chmod(0o755)
    shutil.copytree(program.parent, root / PROGRAM[1:], symlinks=True)
    for folder, mode in ((HOME, 0o700), (TEMPORARY, 0o1777)):
        place = root / folder[1:]
        place.mkdir(parents=True)
        place.chmod(mode)
        os.chown(place, NOBODY, NOBODY)
    _copy_libraries(root)
    for folder in ("/proc", "/dev"):
        (root / folder[1:]).mkdir()
        subprocess.run(["mount", "--rbind", folder, str(root / folder[1:])], check=True)
    chroot = shutil.which("chroot") or "/usr/sbin/chroot"
    command = (chroot, f"--userspec={NOBODY}:{NOBODY}", "--groups=", str(root), f"{PROGRAM}/{program.name}")
    return Cell(root, command, {"HOME": HOME})


def leave(cell: Cell) -> None:
    """Take the mounts off, so that the folder can be deleted."""
    for folder in ("proc", "dev"):
        subprocess.run(["umount", "--recursive", "--lazy", str(cell.root / folder)], check=True)


def _copy_libraries(root: Path) -> None:
    """LIBRARIES and the loader, where the machine has them."""
    told = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=True).stdout
    paths = [Path(word) for word in told.split() if word.startswith("/")]
    home = next(path for path in paths if path.name == "libc.so.6").parent
    for path in (*paths, *(home / name for name in LIBRARIES)):
        if path.exists():
            (root / str(path.parent)[1:]).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / str(path)[1:])
            (root / str(path)[1:]).chmod(0o755)


def _loopback_up() -> None:
    """A network of its own begins with everything down, 127.0.0.1 as well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("16sh14s", b"lo", 0, b"")
        flags = struct.unpack("16sh14s", fcntl.ioctl(asking, GET_FLAGS, request))[1]
        fcntl.ioctl(asking, SET_FLAGS, struct.pack("16sh14s", b"lo", flags | UP, b""))
