"""A student's copies: never written over once changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import workspace
from launcher.layout import Layout

NOTEBOOK = "Track/Lab/01.ipynb"


@pytest.fixture
def checkout(tmp_path: Path) -> Layout:
    """A checkout with one lab."""
    lab = tmp_path / "02-Labs" / "Track" / "Lab"
    lab.mkdir(parents=True)
    (lab / "01.ipynb").write_text("one")
    (lab / "01.py").write_text("source")
    (lab / "README.md").write_text("read me")
    (lab / ".ipynb_checkpoints").mkdir()
    (lab / ".ipynb_checkpoints" / "01.ipynb").write_text("old")
    return Layout(tmp_path)


def fill(checkout: Layout) -> list[str]:
    return workspace.fill(checkout.labs, checkout.workspace)


def test_notebooks_are_copied_without_their_sources(checkout: Layout) -> None:
    assert fill(checkout) == []
    copies = {
        str(path.relative_to(checkout.workspace))
        for path in checkout.workspace.rglob("*")
        if path.is_file()
    }
    assert copies == {NOTEBOOK, "Track/Lab/README.md", workspace.RECORD}


def test_a_changed_copy_is_kept_and_said(checkout: Layout) -> None:
    fill(checkout)
    mine = checkout.workspace / NOTEBOOK
    mine.write_text("my work")
    assert fill(checkout) == []
    (checkout.labs / NOTEBOOK).write_text("two")
    (sentence,) = fill(checkout)
    assert NOTEBOOK in sentence
    assert mine.read_text() == "my work"


def test_an_untouched_copy_follows_the_course(checkout: Layout) -> None:
    fill(checkout)
    (checkout.labs / NOTEBOOK).write_text("two")
    assert fill(checkout) == []
    assert (checkout.workspace / NOTEBOOK).read_text() == "two"


def test_a_renamed_copy_gets_the_new_one_beside_it(checkout: Layout) -> None:
    fill(checkout)
    mine = checkout.workspace / NOTEBOOK
    mine.write_text("my work")
    mine.rename(mine.with_name("mine.ipynb"))
    assert fill(checkout) == []
    assert mine.read_text() == "one"
    assert mine.with_name("mine.ipynb").read_text() == "my work"


def test_jupyterlab_is_started_on_the_workspace_and_asks_no_network(
    checkout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def call(command: list[object], **_: object) -> int:
        started.extend(str(part) for part in command)
        return 0

    monkeypatch.setattr("launcher.process.call", call)
    assert workspace.lab(checkout, "cpu", browser=False) == 0
    assert f"--ServerApp.root_dir={checkout.workspace}" in started
    assert "--no-browser" in started
    assert "--LabApp.news_url=None" in started
