"""The `course` command.

Each module of this package that defines ``app = typer.Typer()`` is a verb group of that
name; only the group asked for is imported, so that every command starts quickly.
"""

from __future__ import annotations


def main() -> None:
    """Run the verb named on the command line."""
    from course_lib.cli._app import run

    run()
