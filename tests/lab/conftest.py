"""An open lab session that writes nowhere but into the test's own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from course_lib import lab
from course_lib.lab import session as session_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger's folder for this test; the run is not strict unless the test says so."""
    folder = tmp_path / "ledger"
    monkeypatch.setenv("COURSE_LEDGER", str(folder))
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    return folder


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is strict."""
    monkeypatch.setenv("COURSE_STRICT", "1")


@pytest.fixture
def session() -> Iterator[lab.Session]:
    """A session of notebook vllm/2.1/02, closed after the test."""
    opened = lab.start("vllm/2.1/02")
    yield opened
    if session_module._current:
        lab.finish()
