"""`course claims`: the ledger of claims."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from course_lib.lab.claims import Claim, all_claims
from course_lib.lab.display import format_number
from course_lib.lab.ledger import NOT_MEASURED, Entry, read_ledger

app = typer.Typer(help="Show each claim of the course: prediction, measurement, verdict.")

COLORS = {"holds": "green", "does not hold here": "yellow", NOT_MEASURED: "bright_black"}


def unmeasured(claim: Claim) -> dict[str, Any]:
    """A claim without measurement, with the fields of an entry."""
    empty = dict.fromkeys(Entry.__dataclass_fields__)
    return empty | {
        "claim": claim.id,
        "statement": claim.statement,
        "said": claim.said,
        "unit": claim.unit,
        "verdict": NOT_MEASURED,
        "lab": ", ".join(claim.labs),
    }


def ledger_rows() -> list[dict[str, Any]]:
    """Every claim: its measurements, or one row that says there is none yet."""
    entries = read_ledger()
    rows: list[dict[str, Any]] = []
    for claim in all_claims().values():
        measured = [asdict(entry) for entry in entries if entry.claim == claim.id]
        rows += measured or [unmeasured(claim)]
    return rows


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("claim", "said", "predicted", "measured", "kind of run", "lab", "verdict")
    for row in rows:
        color = COLORS[row["verdict"]]
        numbers = [
            "" if row[key] is None else f"{format_number(row[key])} {row['unit']}"
            for key in ("prediction", "value")
        ]
        verdict = f"[{color}]{row['verdict']}[/{color}]"
        table.add_row(row["claim"], row["said"], *numbers, row["kind"] or "", row["lab"], verdict)
    Console().print(table)


@app.callback(invoke_without_command=True)
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="Print all fields as JSON.")] = False,
) -> None:
    """Show each claim of the course: prediction, measurement, verdict."""
    rows = ledger_rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _print_table(rows)
