"""A lab's README says what the lab holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from course_lib.lab.notebooks import contract

if TYPE_CHECKING:
    from tests.notebooks.conftest import Sample

README = """# Lab vLLM-2.1: Deployment

## Goals

## Prerequisites

## Hours

## What is measured

## Notebooks

1. [Sample](07-Sample.ipynb)
"""


def test_a_complete_readme_passes(sample: Sample) -> None:
    sample.path.with_name("README.md").write_text(README)
    assert contract.lint_all([sample.path]) == []


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("# Lab vLLM-2.1: Deployment", "begins with `# Title`"),
        ("## Goals", "`## Goals` is missing"),
        ("## Hours", "`## Hours` is missing"),
        ("(07-Sample.ipynb)", "no link to 07-Sample.ipynb"),
    ],
)
def test_what_a_readme_lacks_is_found(sample: Sample, old: str, words: str) -> None:
    sample.path.with_name("README.md").write_text(README.replace(old, ""))
    (finding,) = contract.lint_all([sample.path])
    assert finding.rule == "readme"
    assert words in finding.message
    assert finding.file.endswith("README.md")


def test_a_missing_readme_is_found(sample: Sample) -> None:
    (finding,) = contract.lint_all([sample.path])
    assert "is missing" in finding.message
