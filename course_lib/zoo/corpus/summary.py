"""Reports with one subject among distractors, each followed by a one-sentence summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus import vocabulary as words
from course_lib.zoo.corpus.document import Document, Split
from course_lib.zoo.corpus.world import cities

if TYPE_CHECKING:
    import random

#: verb in the passive, what the report says about it, and the sentence that gives the cause.
_EVENTS = (
    ("closed", "will be closed to visitors", "because of cracks in its foundations"),
    ("rebuilt", "will be rebuilt from the ground", "after the fire of last winter"),
    ("sold", "is to be sold to a private owner", "because the council needs money"),
    ("opened", "will open its doors to the public", "after nine years of work"),
    ("repainted", "is going to be repainted", "because the old paint was poisonous"),
    ("moved", "will be moved to the other bank", "because the river is rising"),
    ("flooded", "was flooded during the night", "after a week of heavy rain"),
    ("renamed", "has been given a new name", "after a vote among the citizens"),
    ("robbed", "was robbed by three thieves", "because its door had been left open"),
    ("inspected", "is being inspected by engineers", "after a complaint from the neighbours"),
)
_LEADS = (
    "{city}, {day}. The {subject} {says}, {who} said on {day}.",
    "News from {city}: the {subject} {says}.",
    "{who} told reporters in {city} on {day} that the {subject} {says}.",
)
_FILLERS = (
    "The {other} next to it is not affected.",
    "{person}, a {trade}, remembered a similar case at the {other}.",
    "Meanwhile the price of {goods} rose again, and traders near the {other} complained.",
    "Visitors are advised to use the {other} instead.",
    "About {number} people work there, and most of them live near the {other}.",
    "A {trade} called {person} has written a book about the {other}.",
    "The weather stayed cold, and the {other} was covered with snow.",
    "The work will cost {number} crowns, more than was once paid for the {other}.",
)
_CAUSES = (
    "The decision came {cause}.",
    "This happened {cause}.",
    "Officials explained that it came {cause}.",
)


def draw(rng: random.Random, _split: Split) -> Document:
    """A report of four to eight sentences, the subject's own not always first; the completion is
    its summary, which names the subject.
    """
    subject = _name(rng)
    others = [_name(rng) for _ in range(6)]
    verb, says, cause = rng.choice(_EVENTS)
    scene = {
        "subject": subject,
        "says": says,
        "cause": cause,
        "city": rng.choice(cities()).name,
        "day": rng.choice(words.WEEKDAYS),
        "who": f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}",
    }
    fillers = [_filler(rng, other) for other in others[: rng.randint(2, 6)]]
    body = [*fillers, rng.choice(_CAUSES).format(**scene)]
    rng.shuffle(body)
    body.insert(rng.choice((0, 0, 0, 1, 2)), rng.choice(_LEADS).format(**scene))
    report = " ".join(body)
    summary = f" The {subject} in {scene['city']} was {verb} {cause}."
    meta = {
        "key": subject + scene["city"],
        "subject": subject,
        "city": scene["city"],
        "cause": cause,
    }
    return Document("summary", f"Report: {report}\nSummary:", summary, meta)


def _name(rng: random.Random) -> str:
    return (
        f"{rng.choice(words.ADJECTIVES).capitalize()} {rng.choice(words.STRUCTURES).capitalize()}"
    )


def _filler(rng: random.Random, other: str) -> str:
    return rng.choice(_FILLERS).format(
        other=other,
        person=f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}",
        trade=rng.choice(words.TRADES),
        goods=rng.choice(words.GOODS),
        number=rng.randint(12, 9800),
    )
