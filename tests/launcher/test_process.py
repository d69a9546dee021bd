"""Children of the launcher."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from launcher import process


def test_status_output_and_ticks(tmp_path: Path) -> None:
    ticks: list[float] = []
    with (tmp_path / "log").open("wb") as log:
        status = process.call(
            [sys.executable, "-c", "import time; print('said'); time.sleep(0.5); exit(3)"],
            cwd=tmp_path,
            log=log,
            tick=ticks.append,
        )
    assert status == 3
    assert (tmp_path / "log").read_text() == "said\n"
    assert ticks == sorted(ticks)
    assert ticks


def test_an_interrupt_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"

    def interrupt(_seconds: float) -> None:
        if note.exists() and note.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.call(
            ["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], cwd=tmp_path, tick=interrupt
        )
    assert not Path(f"/proc/{note.read_text().strip()}/fd").exists()


def test_a_child_that_ignores_signals_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.4)
    note = tmp_path / "pid"
    program = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )

    def interrupt(_seconds: float) -> None:
        if note.exists() and note.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.call([sys.executable, "-c", program], cwd=tmp_path, tick=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_read_gives_none_where_a_command_fails() -> None:
    assert process.read(["sh", "-c", "echo yes"]) == "yes"
    assert process.read(["sh", "-c", "exit 1"]) is None
    assert process.read(["no-such-program-here"]) is None
    assert process.read(["sleep", "5"], timeout_s=0.1) is None


def test_sigterm_unwinds_with_its_status() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        process.end_on_sigterm()
        with pytest.raises(SystemExit) as left:
            os.kill(os.getpid(), signal.SIGTERM)
        assert left.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)
