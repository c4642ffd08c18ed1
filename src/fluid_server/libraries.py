"""System libraries that an engine's wheel expects and a machine may lack: which one it was, and how to install it."""

from __future__ import annotations

import re

from fluid_server.machine import process_architecture

# Which packages bring a library: for Debian and Ubuntu, for Fedora and its kin.
PACKAGES = {
    "libgomp": ("libgomp1", "libgomp"),
    "libstdc++": ("libstdc++6", "libstdc++"),
    "libOpenCL": ("ocl-icd-libopencl1", "ocl-icd"),
}
# The last is what musl says, and what is before it the loader of glibc, of an absent file and of a broken one.
ABSENT = re.compile(
    r"(?P<name>lib[\w+\-]+)(?P<rest>\.so[\w.]*): (?:cannot open shared object file|file too short|invalid ELF header)"
    r"|Error loading shared library (?P<musl>lib[\w+\-]+)(?P<musl_rest>\.so[\w.]*)"
)
TOO_OLD = re.compile(r"version `(?P<wanted>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found")
NOT_LOADED = re.compile(r"Library not loaded: (?:\S*/)?(?P<name>[\w+\-]+)(?P<rest>[\w.]*\.dylib)")
# Python's words for an extension module, ctypes' for a library, and Windows' numbers: a module that is not found (126),
# a procedure that an older runtime lacks (127), and one whose start fails with an older runtime (1114).
NO_DLL = re.compile(r"DLL load failed while importing|\(or one of its dependencies\)|WinError (?:126|127|1114)\b")
REDISTRIBUTABLE = "https://aka.ms/vs/17/release/vc_redist.{}.exe"


def what_is_missing(error: BaseException) -> str | None:
    """What to install where native code did not load for want of a library; None where that was not the matter."""
    text = str(error)
    if found := ABSENT.search(text):
        return _on_linux(found["name"] or found["musl"], found["rest"] or found["musl_rest"])
    if found := TOO_OLD.search(text):
        return (
            f"it was built for a newer Linux than this: the system has no {found['wanted']}. "
            "Use a newer release of the distribution, or a container of one"
        )
    if found := NOT_LOADED.search(text):
        return _on_macos(found["name"], found["rest"])
    return _on_windows(text) if NO_DLL.search(text) else None


def _on_linux(name: str, rest: str) -> str:
    packages = PACKAGES.get(name)
    if packages is None:
        return f"{name}{rest} is missing here: install the package of your distribution that has it, and start again"
    debian, fedora = packages
    return (
        f"{name}{rest} is missing here: install it with 'apt-get install {debian}' (Debian, Ubuntu) or "
        f"'dnf install {fedora}' (Fedora, RHEL), and start again"
    )


def _on_macos(name: str, rest: str) -> str:
    if name == "libomp":
        return f"{name}{rest} is missing here: install it with 'brew install libomp', and start again"
    return f"{name}{rest} is missing here: install what has it, and start again"


def _on_windows(text: str) -> str:
    """Windows does not say which DLL was missing; of all that our engines need, only these come with no wheel."""
    architecture = process_architecture()
    link = REDISTRIBUTABLE.format(architecture if architecture in ("x64", "arm64", "x86") else "x64")
    said = " ".join(text.split())[:200]
    return (
        "a DLL is missing here, most likely of Microsoft's Visual C++ Redistributable: install its newest version from "
        f"{link}, and start again ({said})"
    )
