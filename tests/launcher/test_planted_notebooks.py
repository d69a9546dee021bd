"""Meta-tests: a bad notebook fails `./course test`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launcher import stages
from launcher.layout import Layout, here

ROOT = here().root


def notebook(*cells: str, **metadata: Any) -> str:
    """A notebook of code cells as JSON."""
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                **metadata,
            },
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{at}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for at, source in enumerate(cells)
            ],
        }
    )


def execute(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the notebooks stage of `./course test` on `folder`."""
    layout = Layout(folder)
    layout.build.mkdir()
    stage = stages.notebooks_stage(layout, folder)
    command = [sys.executable, *stage.arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.notebooks
def test_a_failing_notebook_fails_the_stage_and_a_good_one_passes(tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_text(notebook("assert 1 + 1 == 2"))
    (tmp_path / "bad.ipynb").write_text(notebook("lesson = 1", "assert lesson == 2, 'wrong'"))
    done = execute(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "bad.ipynb" in done.stdout


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the library's command."""
    command = [sys.executable, "-m", "course_lib.cli", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A copy of a lesson of the course, script and notebook."""
    source = sorted((ROOT / "02-Labs").rglob("0*.py"))[0]
    for suffix in (".py", ".ipynb"):
        shutil.copy(source.with_suffix(suffix), tmp_path)
    return tmp_path / source.name


def test_a_notebook_that_hides_failures_is_refused(lesson: Path) -> None:
    path = lesson.with_suffix(".ipynb")
    content = json.loads(path.read_text())
    content["metadata"]["execution"] = {"allow_errors": True}
    path.write_text(json.dumps(content))
    done = run_command("notebooks", "lint", str(lesson))
    assert done.returncode == 1
    assert "allow_errors" in done.stdout


def test_a_stale_notebook_is_refused(lesson: Path) -> None:
    assert run_command("notebooks", "sync", "--check", str(lesson)).returncode == 0
    lesson.write_text(lesson.read_text() + "\n# %%\nprint('added to the script alone')\n")
    done = run_command("notebooks", "sync", "--check", str(lesson))
    assert done.returncode == 1
    assert "sync" in done.stdout + done.stderr
    assert run_command("notebooks", "lint", str(lesson)).returncode == 1
