"""Where the course lies on this machine."""

from __future__ import annotations

from pathlib import Path

import course_lib


def course_root() -> Path:
    """The folder that holds the labs and the theory, or the working folder outside a checkout."""
    root = Path(course_lib.__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def build_folder() -> Path:
    """Where what the course makes is put; nothing in it is source."""
    return course_root() / "build"


def labs_folder() -> Path:
    """The folder of both lab tracks."""
    return course_root() / "02-Labs"


def shortened(path: Path) -> str:
    """`path` as seen from the course's folder, for messages."""
    resolved = path.resolve()
    root = course_root()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)
