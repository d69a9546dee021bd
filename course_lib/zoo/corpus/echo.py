"""Dictation: a line of words that make no sense together, then the same line again.

The second line can be known to the letter by looking back, and in no other way: this kind teaches
a model
to copy, and it is where a draft that looks back (prompt lookup) beats one that has learned much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus import vocabulary as words
from course_lib.zoo.corpus.document import Document, Split
from course_lib.zoo.corpus.noise import item
from course_lib.zoo.corpus.world import cities

if TYPE_CHECKING:
    import random

_POOLS = (
    words.GOODS,
    words.OBJECTS,
    words.ANIMALS,
    words.FIRST_NAMES,
    words.LAST_NAMES,
    words.ADJECTIVES,
    words.RIVERS,
)


def draw(rng: random.Random, _split: Split) -> Document:
    """Six to thirty items; the prompt is the first line and the words that ask for it again."""
    line = " ".join(_word(rng) for _ in range(rng.randint(6, 30)))
    return Document(
        "echo", f"Dictation: {line}.\nAgain:", f" {line}.", {"key": line, "answer": line}
    )


def _word(rng: random.Random) -> str:
    choice = rng.random()
    if choice < 0.2:
        return item(rng)
    if choice < 0.35:
        return rng.choice(cities()).name
    return rng.choice(rng.choice(_POOLS))
