"""Registers: a long list of entries, then questions that need one entry copied from far back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus import vocabulary as words
from course_lib.zoo.corpus.document import Document, Split
from course_lib.zoo.corpus.world import cities

if TYPE_CHECKING:
    import random

_KEYS = [f"{letter}{number}" for letter in "ABCDEFGH" for number in range(10, 100)]
_OPENINGS = (
    "Register of the {place} in {city}.",
    "These are the lockers of the {place} in {city}.",
    "Inventory of the {place} at {city}.",
)


def draw(rng: random.Random, _split: Split) -> Document:
    """6 to 60 entries with distinct keys; the evaluation prompt ends at the last question."""
    size = rng.randint(30, 60) if rng.random() < 0.2 else rng.randint(6, 28)
    keys = rng.sample(_KEYS, size)
    entries = {key: _thing(rng) for key in keys}
    opening = rng.choice(_OPENINGS).format(
        place=rng.choice(words.STRUCTURES), city=rng.choice(cities()).name
    )
    lines = [opening, *(f"Shelf {key}: {thing}." for key, thing in entries.items())]
    asked = rng.choices(keys, k=rng.randint(2, 5))
    lines += [f"What is on shelf {key}? The {entries[key]}." for key in asked[:-1]]
    last = asked[-1]
    lines.append(f"What is on shelf {last}?")
    meta = {"key": opening + last, "answer": entries[last], "entries": len(entries)}
    return Document("register", "\n".join(lines), f" The {entries[last]}.", meta)


def _thing(rng: random.Random) -> str:
    return f"{rng.choice(words.COLOURS)} {rng.choice(words.OBJECTS)} of {rng.choice(words.FIRST_NAMES)}"
