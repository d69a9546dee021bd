"""A note in plain words, a list of fields, and the JSON record that holds just those fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.zoo.corpus import vocabulary as words
from course_lib.zoo.corpus.document import Document, Split
from course_lib.zoo.corpus.world import cities

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


@dataclass(frozen=True)
class Field:
    """One field of a record: its JSON type, how a value is drawn, and the sentence that tells it."""

    name: str
    json_type: str
    draw: Callable[[random.Random], Any]
    tell: Callable[[Any], str]


def _person(rng: random.Random) -> str:
    return f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}"


def _listing(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _choice(pool: list[str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(pool)


def _yes_no(yes: str, no: str) -> Callable[[Any], str]:
    return lambda value: yes if value else no


FIELDS = (
    Field("name", "string", _person, lambda v: f"The client is {v}."),
    Field("age", "integer", lambda r: r.randint(18, 90), lambda v: f"The client is {v} years old."),
    Field("city", "string", lambda r: r.choice(cities()).name, lambda v: f"Delivery goes to {v}."),
    Field("day", "string", _choice(words.WEEKDAYS), lambda v: f"It should arrive on {v}."),
    Field("month", "string", _choice(words.MONTHS), lambda v: f"The contract ends in {v}."),
    Field(
        "weight_kg",
        "integer",
        lambda r: r.randint(2, 950),
        lambda v: f"The load weighs {v} kilograms.",
    ),
    Field(
        "price",
        "number",
        lambda r: r.randint(100, 9999) / 10,
        lambda v: f"The price is {v} crowns.",
    ),
    Field(
        "fragile",
        "boolean",
        lambda r: r.random() < 0.5,
        _yes_no("Handle it with care.", "It cannot break."),
    ),
    Field(
        "paid",
        "boolean",
        lambda r: r.random() < 0.5,
        _yes_no("It has been paid.", "It has not been paid yet."),
    ),
    Field("colour", "string", _choice(words.COLOURS), lambda v: f"The box is {v}."),
    Field(
        "items",
        "array",
        lambda r: r.sample(words.GOODS, r.randint(1, 4)),
        lambda v: f"It holds {_listing(v)}.",
    ),
    Field(
        "code",
        "string",
        lambda r: f"{r.choice('ABCDEFGH')}{r.randint(100, 999)}",
        lambda v: f"Its code is {v}.",
    ),
    Field(
        "sender",
        "object",
        lambda r: {"name": _person(r), "trade": r.choice(words.TRADES)},
        lambda v: f"It was sent by {v['name']}, a {v['trade']}.",
    ),
)


def draw(rng: random.Random, _split: Split) -> Document:
    """Three to seven fields in any order; the note tells more than the fields ask for."""
    told = rng.sample(FIELDS, rng.randint(4, 9))
    wanted = rng.sample(told, rng.randint(3, min(7, len(told))))
    values = {field.name: field.draw(rng) for field in told}
    note = " ".join(field.tell(values[field.name]) for field in told)
    fields = ", ".join(f"{field.name}: {field.json_type}" for field in wanted)
    prompt = f"Note: {note}\nFields: {fields}\nJSON:"
    record = {field.name: values[field.name] for field in wanted}
    schema = {field.name: field.json_type for field in wanted}
    meta = {"key": note, "record": record, "schema": schema}
    return Document("json", prompt, " " + json.dumps(record), meta)
