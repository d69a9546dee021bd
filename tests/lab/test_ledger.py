"""The ledger of claims: what is written, what is refused, and what survives a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from course_lib import lab
from course_lib.lab import ledger
from course_lib.lab.claims import CLAIMS_FILE, UnknownClaim, all_claims

if TYPE_CHECKING:
    from pathlib import Path


def record(claim: str = "vllm-throughput", value: Any = 3.1, **changes: Any) -> None:
    """Record one measurement with everything that is not under test filled in."""
    words: dict[str, Any] = {"prediction": 3, "holds": False, "reason": "Small.", **changes}
    lab.record(claim, value, words.pop("unit", "×"), **words)


def test_an_entry_says_everything_about_its_run(session: lab.Session, own_ledger: Path) -> None:
    record()
    (path,) = own_ledger.glob("*.json")
    assert path.name == "vllm-throughput--vllm-2.1-02--real-engine-on-cpu.json"
    (entry,) = ledger.read_ledger()
    assert (entry.value, entry.unit, entry.prediction) == (3.1, "×", 3)
    assert entry.verdict == "does not hold here"
    assert entry.statement == all_claims()["vllm-throughput"].statement
    assert (entry.lab, entry.kind, entry.seed) == ("vllm/2.1/02", "real engine on CPU", 0)
    assert entry.machine == session.machine
    assert entry.versions["torch"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", entry.timestamp)


def test_measuring_again_replaces_and_another_kind_stands_beside(session: lab.Session) -> None:
    record()
    record(value=4.0, holds=True)
    record(value=11.0, holds=True, kind=lab.SIMULATED)
    entries = ledger.read_ledger()
    assert [(entry.value, entry.kind) for entry in entries] == [
        (4.0, "real engine on CPU"),
        (11.0, "simulated"),
    ]


def test_an_unknown_claim_is_refused_with_the_nearest(session: lab.Session) -> None:
    with pytest.raises(UnknownClaim, match=r"vllm-throughput.*claims\.toml"):
        record("vllm-thruput")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "tokens/s"}, "is measured in '×'"),
        ({"value": "fast"}, "must be a number"),
        ({"kind": "mocked"}, "not a kind of run"),
        ({"claim": "stacked-cost", "unit": "%"}, "not in vllm/2.1/02"),
    ],
)
def test_what_does_not_fit_is_refused(
    session: lab.Session, own_ledger: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(lab.LabError, match=message):
        record(**changes)
    assert not own_ledger.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"claim": "vllm-throughput"}'])
def test_a_corrupt_file_is_named_with_the_cure(own_ledger: Path, content: str) -> None:
    own_ledger.mkdir()
    path = own_ledger / "vllm-throughput--x--y.json"
    path.write_text(content)
    with pytest.raises(ledger.CorruptLedger, match=re.escape(str(path))) as caught:
        ledger.read_ledger()
    assert "delete it and run its notebook again" in str(caught.value)


def test_a_failing_write_leaves_the_entry_before(
    session: lab.Session, own_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record()

    def full(_handle: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        record(value=9.9)
    assert [entry.value for entry in ledger.read_ledger()] == [3.1]
    assert len(list(own_ledger.iterdir())) == 1


KILLED_WHILE_WRITING = """
import os, signal
from course_lib import lab
lab.start("vllm/2.1/02")
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
lab.record("vllm-throughput", 9.9, "×", prediction=3, holds=True, reason="Killed.")
"""


def test_a_kill_in_the_middle_of_a_write_leaves_the_entry_before(session: lab.Session) -> None:
    record()
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [entry.value for entry in ledger.read_ledger()] == [3.1]


def test_the_list_of_claims_is_well_formed() -> None:
    entries = tomllib.loads(CLAIMS_FILE.read_text(encoding="utf-8"))["claim"]
    ids = [entry["id"] for entry in entries]
    assert len(ids) == len(set(ids)) >= 20
    for claim in all_claims().values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.id)
        assert claim.statement.endswith(".")
        assert claim.said
        assert claim.unit
        assert claim.labs
        assert all(re.fullmatch(r"(vllm|triton)/2\.[1-5]/0[1-4]", name) for name in claim.labs)


def test_an_entry_is_plain_json(session: lab.Session, own_ledger: Path) -> None:
    record()
    (path,) = own_ledger.glob("*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["said"] == "11×"
