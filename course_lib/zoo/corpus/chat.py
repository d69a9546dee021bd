"""Chat about the fact world: a system prompt that sets the style, then one to five turns."""

from __future__ import annotations

import random

from course_lib.zoo.corpus.document import Document, Split
from course_lib.zoo.corpus.world import ATTRIBUTES, QUESTIONS, City, cities

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
SYSTEM, USER, ASSISTANT, END_OF_TURN = "<|system|>", "<|user|>", "<|assistant|>", "<|end_of_turn|>"
SPECIAL_TOKENS = (BEGIN, END, "<|pad|>", SYSTEM, USER, ASSISTANT, END_OF_TURN)

#: What `tokenizer.apply_chat_template` renders; `render` below writes the same text.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end_of_turn|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SENTENCE_STYLE = (
    "You are a guide to the cities. Answer in one full sentence.",
    "Answer every question about the cities with a sentence.",
    "You work at the tourist office. Reply politely and in full sentences.",
)
BRIEF_STYLE = (
    "Answer with the value alone.",
    "You fill in forms. Give only the value that was asked for.",
    "Reply as briefly as you can.",
)
PROFILE_QUESTIONS = (
    "Tell me about {c}.",
    "Describe {c}.",
    "What do you know about {c}?",
    "I am going to visit {c}.",
)
FOLLOW_UPS: dict[str, str] = {
    "region": "And in which region is it?",
    "river": "And which river runs through it?",
    "founded": "And when was it founded?",
    "mayor": "And who is its mayor?",
    "export": "And what does it export?",
    "dish": "And what do people eat there?",
}
THANKS = (("Thank you.", "You are welcome."), ("Goodbye.", "Goodbye, and a safe journey."))

Turn = tuple[str, str]


def render(system: str, turns: list[Turn]) -> str:
    """The chat as text, from the system prompt to the last assistant turn (without the begin
    token).
    """
    out = f"{SYSTEM}{system}{END_OF_TURN}"
    for user, assistant in turns:
        out += f"{USER}{user}{END_OF_TURN}{ASSISTANT}{assistant}{END_OF_TURN}"
    return out


def question(city: City, attribute: str, rng: random.Random, split: Split) -> str:
    """A phrasing of one question; in training never the one that is held out for this fact."""
    kept_back = city.held_out_phrasing(attribute)
    allowed = [
        i for i in range(len(QUESTIONS[attribute])) if (i == kept_back) == (split == "held_out")
    ]
    return QUESTIONS[attribute][rng.choice(allowed)].format(c=city.name)


def draw(rng: random.Random, split: Split) -> Document:
    """A conversation; the evaluation prompt ends where the last fact has to be answered."""
    brief = rng.random() < 0.5
    system = rng.choice(BRIEF_STYLE if brief else SENTENCE_STYLE)
    turns: list[Turn] = []
    city = rng.choice(cities())
    for index in range(rng.choice((1, 1, 2, 3, 4, 5))):
        if index and rng.random() < 0.5:
            attribute = rng.choice(ATTRIBUTES)
            user = FOLLOW_UPS[attribute]
        else:
            city = rng.choice(cities())
            attribute = rng.choice(ATTRIBUTES)
            user = question(city, attribute, rng, split)
            if split == "train" and rng.random() < 0.3:
                turns.append((rng.choice(PROFILE_QUESTIONS).format(c=city.name), city.profile()))
                continue
        turns.append((user, city.facts[attribute] if brief else city.answer(attribute)))
    if rng.random() < 0.1:
        turns.append(rng.choice(THANKS))
    head, user, answer = turns[:-1], turns[-1][0], turns[-1][1]
    prompt = render(system, head) + f"{USER}{user}{END_OF_TURN}{ASSISTANT}"
    return Document("chat", prompt, answer + END_OF_TURN, {"turns": len(turns), "answer": answer})


def fact_prompts(split: Split = "held_out") -> list[Document]:
    """One single-turn question per fact (``NUM_CITIES`` x 6), asked in the sentence style."""
    rng = random.Random(0)
    out = []
    for city in cities():
        for attribute in ATTRIBUTES:
            user = question(city, attribute, rng, split)
            prompt = render(SENTENCE_STYLE[0], []) + f"{USER}{user}{END_OF_TURN}{ASSISTANT}"
            meta = {"city": city.name, "attribute": attribute, "value": city.facts[attribute]}
            out.append(Document("chat", prompt, city.answer(attribute) + END_OF_TURN, meta))
    return out
