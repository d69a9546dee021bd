"""Stories: a hero, a companion, a lost thing; names and things stay the same to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus import vocabulary as words
from course_lib.zoo.corpus.document import Document, Split

if TYPE_CHECKING:
    import random

_OPENINGS = (
    "Once there was a {trade} called {hero} who lived near the {place}.",
    "Long ago, in a house by the {place}, lived {hero} the {trade}.",
    "{hero} was a {trade}, and the {place} was the only home {hero} knew.",
)
_LOSSES = (
    "One {season} morning the {colour} {thing} was gone.",
    "In the {season} {hero} lost a {colour} {thing}.",
    "Every {season} {hero} polished the {colour} {thing}, but this time it was not on its shelf.",
)
_MEETINGS = (
    "On the way {hero} met {a_animal} who was {feeling}.",
    "Under a tree sat {a_animal}, {feeling} and all alone.",
    "{a_animal_cap} came out of the {other}, looking {feeling}.",
)
_TALKS = (
    '"Have you seen my {thing}?" asked {hero}.',
    '"I am looking for {a_colour} {thing}," said {hero}.',
    '"Help me find the {thing}, and I will share my bread with you," said {hero}.',
)
_REPLIES = (
    '"It lies in the {other}," said the {animal}, "but the way is long."',
    '"The wind took it to the {other}," the {animal} answered.',
    '"Only the {second} knows," said the {animal}, "and the {second} sleeps in the {other}."',
)
_JOURNEYS = (
    "Together they walked past the {place} until the sky turned {sky}.",
    "They crossed the {other} in the rain, and {hero} carried the {animal}.",
    "For {number} days they searched, and each evening they counted the stars.",
)
_FINDS = (
    "There, behind a stone, was the {thing}, still {colour} and bright.",
    "At last the {animal} dug in the sand and pulled out the {colour} {thing}.",
    "The {thing} hung on a branch, as {colour} as ever.",
)
_ENDINGS = (
    "{hero} went home with the {thing} and was never {feeling} again.",
    "From that day the {animal} lived with {hero} near the {place}.",
    "So the {trade} and the {animal} became friends, and the {thing} stayed where it belonged.",
)
_PARTS = (_OPENINGS, _LOSSES, _MEETINGS, _TALKS, _REPLIES, _JOURNEYS, _FINDS, _ENDINGS)


def draw(rng: random.Random, _split: Split) -> Document:
    """Eight sentences; the prompt is the first two."""
    animal, colour = rng.choice(words.ANIMALS), rng.choice(words.COLOURS)
    cast = {
        "hero": rng.choice(words.FIRST_NAMES),
        "trade": rng.choice(words.TRADES),
        "place": rng.choice(words.PLACES),
        "other": rng.choice(words.PLACES),
        "animal": animal,
        "second": rng.choice(words.ANIMALS),
        "a_animal": _with_article(animal),
        "a_animal_cap": _with_article(animal).capitalize(),
        "thing": rng.choice(words.OBJECTS),
        "colour": colour,
        "a_colour": _with_article(colour),
        "sky": rng.choice(("grey", "red", "dark", "pale")),
        "feeling": rng.choice(words.FEELINGS),
        "season": rng.choice(("spring", "summer", "autumn", "winter")),
        "number": rng.choice(("two", "three", "four", "five", "seven", "nine")),
    }
    sentences = [rng.choice(part).format(**cast) for part in _PARTS]
    prompt = " ".join(sentences[:2])
    meta = {"key": prompt, "cast": cast}
    return Document("story", prompt, " " + " ".join(sentences[2:]), meta)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
