"""The contract that every notebook keeps, rule by rule.

How a notebook is written to keep it stands at the head of `course_lib.lab`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from course_lib.lab.notebooks import form, teaching
from course_lib.lab.notebooks.lesson import Lesson
from course_lib.lab.notebooks.readme import readme

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from course_lib.lab.notebooks.lesson import Finding

LAB_FOLDER = re.compile(r"Lab-\d\.\d-")
RULES = {rule.__name__.replace("_", "-"): rule for rule in (*form.RULES, *teaching.RULES)}


def lint(source: Path) -> list[Finding]:
    """Every breach of the contract in the notebook of that source, rule after rule."""
    lesson = Lesson.read(source)
    return [finding for rule in RULES.values() for finding in rule(lesson)]


def lint_all(sources: Sequence[Path]) -> list[Finding]:
    """Every breach in all of them and in the README of each lab that they belong to."""
    findings = [finding for source in sources for finding in lint(source)]
    for folder in dict.fromkeys(source.parent for source in sources):
        if LAB_FOLDER.match(folder.resolve().name):
            inside = [source for source in sources if source.parent == folder]
            findings += readme(folder, inside)
    return findings
