"""A server's processes end with it, however it ends, and also in the middle of a native call that holds the GIL.

Reading the end of the pipe is not enough for that: the thread that reads needs the GIL, and xllamacpp keeps it while it
loads a model (measured: 1.2 s for one of 67 M parameters). So the system sees to it, where it can:

- on Windows the server and all that it starts are one job, which is killed when the server's handle of it is closed;
- on Linux each worker asks for a signal at the end of the thread that has started it. That thread must live as long as
  the server does, which the event loop's and those of its executor do;
- elsewhere only the pipe is left.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import sys

logger = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
EXTENDED_LIMITS = 9
KILL_ON_JOB_CLOSE = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """Windows' JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", _BasicLimits),
        ("counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


def end_children_with_us() -> None:
    """For the server, before it starts anything. Where Windows refuses, the pipes have to do."""
    if sys.platform != "win32":
        return
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    # The handle is never closed: the system does that when this process has ended.
    job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
    limits = ExtendedLimits()
    limits.basic.flags = KILL_ON_JOB_CLOSE
    if not (
        job
        and kernel.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
        and kernel.AssignProcessToJobObject(job, ctypes.c_void_p(kernel.GetCurrentProcess()))
    ):
        logger.warning("no job for the workers (Windows error %d)", ctypes.get_last_error())


def end_with_server() -> None:
    """For a process that the server has started, before it does anything else."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
