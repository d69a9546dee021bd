"""The claims that the course examines: a list in claims.toml beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from course_lib.lab.kinds import LabError

CLAIMS_FILE = Path(__file__).with_name("claims.toml")


class UnknownClaim(LabError):
    """A claim id that claims.toml does not hold."""


@dataclass(frozen=True)
class Claim:
    """One number that the field repeats.

    Attributes:
        id: short name in kebab case.
        statement: one sentence.
        said: the number as it is usually given.
        unit: unit of the measurement.
        labs: "track/lab/notebook" of each notebook that measures it.
    """

    id: str
    statement: str
    said: str
    unit: str
    labs: tuple[str, ...]


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by id, in the order of the file."""
    entries = tomllib.loads(CLAIMS_FILE.read_text(encoding="utf-8"))["claim"]
    claims = [Claim(**{**entry, "labs": tuple(entry["labs"])}) for entry in entries]
    return {claim.id: claim for claim in claims}


def find_claim(claim_id: str) -> Claim:
    """The claim of that id.

    Raises:
        UnknownClaim: with the nearest ids.
    """
    claims = all_claims()
    if claim_id not in claims:
        near = get_close_matches(claim_id, claims, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UnknownClaim(
            f"{claim_id!r} is no claim of the course.{hint} "
            f"Claims are listed in {CLAIMS_FILE.name} of course_lib/lab: add it there first."
        )
    return claims[claim_id]
