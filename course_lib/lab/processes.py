"""The processes that a notebook starts: how much memory they take, and which are left.

A process belongs to the notebook if it descends from it, or if it inherited the session's
tag in its environment: the tag finds a process whose parent has died, too.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import psutil

TAG = "COURSE_SESSION"
SAMPLE_EVERY_S = 0.5
GRACE_S = 5.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
# Helpers of multiprocessing that live as long as the kernel and end with it.
HARMLESS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def command_line(process: psutil.Process) -> str:
    """The process's command, shortened; "?" if it has gone meanwhile."""
    try:
        return " ".join(process.cmdline())[:120] or process.name()
    except psutil.Error:
        return "?"


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _carries_tag(process: psutil.Process, tag: str) -> bool:
    try:
        return process.environ().get(TAG) == tag
    except (psutil.Error, OSError):
        return False


def leftovers(tag: str) -> list[psutil.Process]:
    """Living processes that this one started, directly or not, itself excluded."""
    found = {process.pid: process for process in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _carries_tag(process, tag):
            found.setdefault(process.pid, process)
    return [
        process
        for process in found.values()
        if _is_alive(process) and not any(word in command_line(process) for word in HARMLESS)
    ]


def wait_for_none(tag: str) -> list[psutil.Process]:
    """Wait up to `GRACE_S` seconds for the notebook's processes to end; return those left."""
    deadline = time.monotonic() + GRACE_S
    left = leftovers(tag)
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = leftovers(tag)
    return left


def end(processes: list[psutil.Process]) -> None:
    """Terminate the given processes, and kill those that have not ended three seconds later."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=3)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=3)


def descendants(pid: int) -> list[int]:
    """Process ids of the children of `pid`, and of theirs.

    The kernel's own list takes a fraction of a millisecond where psutil, which looks at every
    process of the machine, takes several: too long in the midst of a measurement.
    """
    if not KERNEL_LISTS_CHILDREN:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        lists = [(thread / "children").read_text(encoding="ascii") for thread in threads]
    except OSError:  # ended meanwhile
        return []
    children = [int(word) for words in lists for word in words.split()]
    return children + [below for child in children for below in descendants(child)]


def rss_bytes(pid: int) -> int:
    """Resident memory of one process in bytes; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def tree_rss_bytes() -> int:
    """Resident memory of this process and its descendants, in bytes.

    Pages shared between processes count once for each: the sum errs on the high side.
    """
    own = os.getpid()
    return sum(map(rss_bytes, [own, *descendants(own)]))


def own_peak_bytes() -> int:
    """Highest resident memory of this process alone so far, in bytes; 0 where unknown."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class MemoryWatch:
    """Samples the memory of the process tree in the background and keeps the highest value."""

    def __init__(self) -> None:
        self._highest = tree_rss_bytes()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="course-memory", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLE_EVERY_S):
            with contextlib.suppress(psutil.Error):
                self._highest = max(self._highest, tree_rss_bytes())

    def stop(self) -> int:
        """End the sampling and return the peak in bytes."""
        self._stopped.set()
        self._thread.join()
        return max(self._highest, own_peak_bytes())
