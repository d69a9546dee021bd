"""Child processes that never outlive the launcher."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GRACE_S = 10.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask Linux to end this child when the launcher is killed outright (man 2 prctl)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def end(child: subprocess.Popen[bytes], first: signal.Signals = signal.SIGINT) -> None:
    """End `child` and what it started: `first`, after a grace SIGTERM, at last SIGKILL."""
    for sent, grace_s in ((first, GRACE_S), (signal.SIGTERM, GRACE_S / 2), (signal.SIGKILL, 1.0)):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, sent)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            if child.poll() is not None and not _group_alive(child.pid):
                return
            time.sleep(0.05)


def call(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    tick: Callable[[float], None] | None = None,
) -> int:
    """Run `command` in a process group of its own and return its exit status.

    Args:
        command: program and arguments.
        cwd: its working folder.
        env: its environment; this process's when None.
        log: takes its output and errors; the terminal does when None.
        tick: called about five times a second with the seconds since the start.

    Raises:
        KeyboardInterrupt, SystemExit: passed on after the whole group has ended.
    """
    started = time.monotonic()
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(os.environ if env is None else env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT if log else None,
        start_new_session=True,
        # Safe: the launcher has no threads.
        preexec_fn=_die_with_parent,
    )
    try:
        while True:
            try:
                return child.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                if tick:
                    tick(time.monotonic() - started)
    except BaseException:
        end(child)
        raise


def read(command: Sequence[str | Path], timeout_s: float = 10.0) -> str | None:
    """Standard output of a short command, or None if it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def end_on_sigterm() -> None:
    """Make SIGTERM unwind this process like Ctrl-C does, with exit status 143."""

    def leave(_signal: int, _frame: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
