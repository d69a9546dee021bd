"""Every notebook that pytest executes here runs strictly: a wrong answer fails it."""

from __future__ import annotations

import os

import pytest


def pytest_configure() -> None:
    os.environ["COURSE_STRICT"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.notebooks)
