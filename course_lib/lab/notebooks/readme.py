"""Rules about the README.md of a lab: what someone reads before opening a notebook.

A lab's README has a title, the sections ``## Goals``, ``## Prerequisites``, ``## Hours``,
``## What is measured`` and ``## Notebooks``, and a link to each notebook beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from course_lib.lab.notebooks.lesson import Finding
from course_lib.lab.places import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTIONS = ("Goals", "Prerequisites", "Hours", "What is measured", "Notebooks")


def readme(folder: Path, sources: list[Path]) -> Iterator[Finding]:
    """The lab's README says what it holds and links to each of its notebooks."""
    path = folder / "README.md"
    name = shortened(path)
    if not path.exists():
        yield Finding(name, 0, "readme", "is missing: a lab folder says what it holds.")
        return
    text = path.read_text(encoding="utf-8")
    if not text.startswith("# "):
        yield Finding(name, 0, "readme", "begins with `# Title`.")
    headings = re.findall(r"^## (.+?)\s*$", text, flags=re.MULTILINE)
    for section in SECTIONS:
        if section not in headings:
            yield Finding(name, 0, "readme", f"the section `## {section}` is missing.")
    for source in sources:
        notebook = source.with_suffix(".ipynb").name
        if f"]({notebook})" not in text:
            yield Finding(name, 0, "readme", f"has no link to {notebook}.")
