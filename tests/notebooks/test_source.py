"""The .ipynb is a function of its percent script."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.lab.notebooks import source

SCRIPT = """# %% [markdown]
# # Title

# %% tags=["parameters"]
x = 1


# %%
def f():
    return x


# %%
f()

# %%
f()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "01-Pages.py"
    path.write_text(SCRIPT)
    return path


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(source.generate(path))["cells"]
    return found


def test_the_same_script_gives_the_same_valid_bytes(script: Path) -> None:
    first = source.generate(script)
    assert source.generate(script) == first
    notebook = nbformat.reads(first, as_version=4)
    nbformat.validate(notebook)
    assert "jupytext" not in first
    assert [cell["metadata"] for cell in cells(script)] == [
        {},
        {"tags": ["parameters"]},
        {},
        {},
        {},
    ]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells(script))


def test_ids_differ_and_only_an_edited_cell_changes_its_own(script: Path) -> None:
    before = [cell["id"] for cell in cells(script)]
    assert len(set(before)) == len(before) == 5
    script.write_text(SCRIPT.replace("x = 1", "x = 2").replace("# # Title", "# # Title\n\n# %%\n0"))
    after = [cell["id"] for cell in cells(script)]
    assert after[0] == before[0]
    assert after[3:] == before[2:]
    assert after[2] != before[1]


CONTENT = st.text(alphabet="ab =1()", min_size=1, max_size=8).filter(str.strip)


@given(contents=st.lists(CONTENT, max_size=8))
def test_any_script_gives_a_valid_notebook_with_distinct_ids(contents: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "01-Pages.py"
        path.write_text("".join(f"# %%\n{content}\n\n" for content in contents))
        text = source.generate(path)
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids) == len(contents)
    assert [cell["source"] for cell in notebook.cells] == contents


def test_sync_writes_what_is_stale_and_nothing_else(script: Path) -> None:
    assert source.sync([script]) == [script.with_suffix(".ipynb")]
    assert source.sync([script]) == []
    script.write_text(SCRIPT.replace("x = 1", "x = 2"))
    assert not source.is_fresh(script)
    assert source.sync([script]) == [script.with_suffix(".ipynb")]
    assert source.is_fresh(script)


def test_an_edited_notebook_is_stale(script: Path) -> None:
    source.sync([script])
    notebook = script.with_suffix(".ipynb")
    notebook.write_text(notebook.read_text().replace("x = 1", "x = 2"))
    assert not source.is_fresh(script)


def test_sources_are_found_by_script_notebook_and_folder(script: Path) -> None:
    (script.parent / "conftest.py").touch()
    notebook = script.with_suffix(".ipynb")
    assert source.find_sources([script.parent]) == [script]
    assert source.find_sources([script, notebook]) == [script]
    with pytest.raises(source.NotebookProblem, match="no notebook source"):
        source.find_sources([script.parent / "02-Missing.py"])
