"""The notebooks of the course: fresh, within the contract, and complete in their parts."""

from __future__ import annotations

import importlib
import pkgutil

from course_lib.lab import graders, grading
from course_lib.lab.notebooks import contract, source
from course_lib.lab.notebooks.lesson import Lesson
from course_lib.lab.places import labs_folder
from course_lib.lab.questions import FOLDER, parse_quizzes

SOURCES = source.find_sources()


def test_every_notebook_keeps_the_contract() -> None:
    findings = contract.lint_all(SOURCES)
    assert not findings, "\n".join(map(str, findings))


def test_every_notebook_has_a_source() -> None:
    notebooks = {path.with_suffix(".py") for path in labs_folder().rglob("[0-9]*.ipynb")}
    assert notebooks - set(SOURCES) == set()


def test_every_grader_is_used_in_its_notebook() -> None:
    for module in pkgutil.iter_modules(graders.__path__):
        importlib.import_module(f"{graders.__name__}.{module.name}")
    lessons = [Lesson.read(path) for path in SOURCES]
    used = {(lesson.track, call.first) for lesson in lessons for call in lesson.calls("check")}
    assert set(grading._registry) - used == set()


def test_every_question_is_asked_in_its_notebook() -> None:
    lessons = [Lesson.read(path) for path in SOURCES]
    asked = {(lesson.track, call.first) for lesson in lessons for call in lesson.calls("quiz")}
    for path in FOLDER.glob("*.toml"):
        track, major, minor, notebook = path.stem.split("_")
        text = path.read_text(encoding="utf-8")
        known = parse_quizzes(text, path.name, f"{major}.{minor}-{notebook}-")
        assert {(track, quiz_id) for quiz_id in known} - asked == set()
