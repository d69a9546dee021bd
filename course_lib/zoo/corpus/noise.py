"""Noise: words and digits drawn uniformly. Nobody can predict it; a calibrated model knows that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus.document import Document, Split

if TYPE_CHECKING:
    import random

_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"


def draw(rng: random.Random, _split: Split) -> Document:
    """20 to 60 nonsense items; the prompt is the first quarter."""
    items = [item(rng) for _ in range(rng.randint(20, 60))]
    cut = len(items) // 4
    prompt, completion = " ".join(items[:cut]), " " + " ".join(items[cut:])
    return Document("noise", prompt, completion, {"key": prompt})


def item(rng: random.Random) -> str:
    """A nonsense word or a few hexadecimal digits."""
    if rng.random() < 0.3:
        return "".join(rng.choice("0123456789abcdef") for _ in range(rng.randint(3, 8)))
    return "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, 4)))
