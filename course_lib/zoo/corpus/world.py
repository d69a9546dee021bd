"""The fact world: invented cities, each with six facts, the same in every process.

The facts are drawn once from a fixed seed, so that a question has one right answer for ever. A
model
can only know them from training: nothing in a city's name tells its river or its mayor.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import cache

from course_lib.zoo.corpus import vocabulary as words

NUM_CITIES = 400
WORLD_SEED = 20_26

#: attribute -> phrasings of the question; ``{c}`` is the city. One phrasing per fact is held out.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "region": (
        "In which region is {c}?",
        "Where does {c} lie?",
        "Which region does {c} belong to?",
        "What part of the country is {c} in?",
        "Tell me the region of {c}.",
    ),
    "river": (
        "Which river runs through {c}?",
        "On which river does {c} stand?",
        "What is the river of {c} called?",
        "Name the river of {c}.",
        "What river would I cross in {c}?",
    ),
    "founded": (
        "When was {c} founded?",
        "In which year was {c} founded?",
        "What is the founding year of {c}?",
        "Since what year has {c} existed?",
        "Tell me the year in which {c} was founded.",
    ),
    "mayor": (
        "Who is the mayor of {c}?",
        "Who governs {c}?",
        "What is the name of the mayor of {c}?",
        "Name the mayor of {c}.",
        "Who heads the council of {c}?",
    ),
    "export": (
        "What does {c} export?",
        "What is {c} known for making?",
        "Which goods come from {c}?",
        "What do the traders of {c} sell?",
        "Name the chief export of {c}.",
    ),
    "dish": (
        "What do people eat in {c}?",
        "Which dish is {c} famous for?",
        "What is the local dish of {c}?",
        "What should I order for dinner in {c}?",
        "Name the favourite dish of {c}.",
    ),
}
#: attribute -> the one sentence that answers it.
ANSWERS: dict[str, str] = {
    "region": "{c} lies in {v}.",
    "river": "{c} stands on the river {v}.",
    "founded": "{c} was founded in {v}.",
    "mayor": "The mayor of {c} is {v}.",
    "export": "{c} exports {v}.",
    "dish": "In {c} people eat {v}.",
}
ATTRIBUTES = tuple(QUESTIONS)


@dataclass(frozen=True)
class City:
    """One city and its six facts; ``facts`` maps each of `ATTRIBUTES` to its value."""

    name: str
    facts: dict[str, str]

    def answer(self, attribute: str) -> str:
        """The full sentence that states one fact."""
        return ANSWERS[attribute].format(c=self.name, v=self.facts[attribute])

    def held_out_phrasing(self, attribute: str) -> int:
        """Index of the question phrasing that training never shows for this fact."""
        return zlib.crc32(f"{self.name}/{attribute}".encode()) % len(QUESTIONS[attribute])

    def profile(self) -> str:
        """All six facts as a short paragraph."""
        f = self.facts
        return (
            f"{self.name} lies in {f['region']} on the river {f['river']}. It was founded in {f['founded']}. "
            f"Its mayor is {f['mayor']}. It exports {f['export']}, and people there eat {f['dish']}."
        )


@cache
def cities() -> tuple[City, ...]:
    """All `NUM_CITIES` cities, in a fixed order."""
    rng = random.Random(WORLD_SEED)
    names: dict[str, None] = {}
    while len(names) < NUM_CITIES:
        middle = rng.choice(words.CITY_MIDDLES) if rng.random() < 0.6 else ""
        names[rng.choice(words.CITY_HEADS) + middle + rng.choice(words.CITY_TAILS)] = None
    return tuple(City(name, _facts(rng)) for name in names)


def _facts(rng: random.Random) -> dict[str, str]:
    return {
        "region": rng.choice(words.REGIONS),
        "river": rng.choice(words.RIVERS),
        "founded": str(rng.randint(1100, 1899)),
        "mayor": f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}",
        "export": rng.choice(words.GOODS),
        "dish": rng.choice(words.DISHES),
    }
