"""`course notebooks`: generate the notebooks from their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Generate, check and run the notebooks.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Scripts, notebooks or folders; left out: all labs.")
]


@app.command()
def sync(
    paths: Paths = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a notebook is stale.")
    ] = False,
) -> None:
    """Generate each .ipynb from the .py beside it."""
    from course_lib.lab.notebooks import source
    from course_lib.lab.places import shortened

    sources = source.find_sources(paths or ())
    if check:
        stale = [script for script in sources if not source.is_fresh(script)]
        for script in stale:
            typer.echo(source.stale_message(script), err=True)
        if stale:
            raise typer.Exit(1)
    else:
        for notebook in source.sync(sources):
            typer.echo(f"wrote {shortened(notebook)}")
    typer.echo(f"{len(sources)} notebooks are fresh.")
