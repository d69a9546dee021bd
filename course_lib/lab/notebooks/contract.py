"""The contract that every notebook keeps, rule by rule.

How a notebook is written to keep it stands at the head of `course_lib.lab`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.lab.notebooks import form, teaching
from course_lib.lab.notebooks.lesson import Lesson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from course_lib.lab.notebooks.lesson import Finding

RULES = {rule.__name__.replace("_", "-"): rule for rule in (*form.RULES, *teaching.RULES)}


def lint(source: Path) -> list[Finding]:
    """Every breach of the contract in the notebook of that source, rule after rule."""
    lesson = Lesson.read(source)
    return [finding for rule in RULES.values() for finding in rule(lesson)]


def lint_all(sources: Sequence[Path]) -> list[Finding]:
    """Every breach in all of them."""
    return [finding for source in sources for finding in lint(source)]
