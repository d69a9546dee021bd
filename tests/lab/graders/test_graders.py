"""Every registered grader keeps its cases, and none is without."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path

import pytest

from course_lib.lab import graders, grading
from course_lib.lab.testing import Cases, verify

CASE_FILES = sorted(Path(__file__).parent.glob("cases_*.py"))


def read_cases(path: Path) -> list[Cases]:
    """The `CASES` of one file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases: list[Cases] = module.CASES
    return cases


ALL_CASES = [cases for path in CASE_FILES for cases in read_cases(path)]


@pytest.mark.parametrize("cases", ALL_CASES, ids=str)
def test_the_grader_keeps_its_cases(cases: Cases) -> None:
    verify(cases)


def test_no_grader_is_without_cases_and_no_cases_without_grader() -> None:
    for module in pkgutil.iter_modules(graders.__path__):
        importlib.import_module(f"{graders.__name__}.{module.name}")
    registered = {f"{track}/{exercise}" for track, exercise in grading._registry}
    tested = [str(cases) for cases in ALL_CASES]
    assert sorted(tested) == sorted(registered)


def test_cases_stand_in_the_file_of_their_notebook() -> None:
    for path in CASE_FILES:
        for cases in read_cases(path):
            module = grading.module_of(cases.track, cases.id).rpartition(".")[2]
            assert path.stem == f"cases_{module}", f"{cases} stands in {path.name}"
