"""A task gives full marks to the reference, none to silence, and marks a planted mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from course_lib.zoo.corpus import held_out
from course_lib.zoo.corpus.chat import fact_prompts
from course_lib.zoo.evaluation import tasks

N = 20
ANSWERS = {
    d.prompt: d.completion
    for kind in ("json", "code", "summary", "arithmetic", "register")
    for d in held_out(kind, N)
} | {d.prompt: d.completion.removesuffix("<|end_of_turn|>") for d in fact_prompts()}


def perfect(prompts: Sequence[str], _max_tokens: int) -> list[str]:
    return [ANSWERS[prompt] for prompt in prompts]


def answering(change: Callable[[str], str]) -> tasks.Generate:
    return lambda prompts, n: [change(answer) for answer in perfect(prompts, n)]


def test_the_references_pass_every_task() -> None:
    assert set(tasks.all_tasks(perfect, N).values()) == {1.0}


def test_silence_passes_no_task() -> None:
    scores = tasks.all_tasks(answering(lambda _: ""), N)
    # A signature with a docstring and no body is valid Python: it compiles, and returns None.
    assert {name for name, share in scores.items() if share} <= {"code_compiles", "code_right"}
    assert scores["code_right"] < 0.2


@pytest.mark.parametrize(
    ("task", "score", "mistake"),
    [
        (tasks.code_accuracy, "code_right", lambda a: a.replace("return ", "return not ")),
        (tasks.code_accuracy, "code_compiles", lambda a: a.replace("return", "retrun x")),
        (tasks.json_accuracy, "json_schema", lambda a: a.replace('": ', '_": ')),
        (tasks.json_accuracy, "json_parses", lambda a: a[:-1]),
        (tasks.summary_accuracy, "summary_subject", lambda a: a.swapcase()),
    ],
)
def test_a_mistake_is_marked(
    task: Callable[[tasks.Generate, int], tasks.Scores],
    score: str,
    mistake: Callable[[str], str],
) -> None:
    assert task(answering(mistake), N)[score] < 0.35


def test_schema_knows_booleans_from_integers_and_the_order_of_fields() -> None:
    assert tasks.keeps_schema({"age": 3, "paid": True}, {"age": "integer", "paid": "boolean"})
    assert not tasks.keeps_schema({"age": True}, {"age": "integer"})
    assert not tasks.keeps_schema({"b": 1, "a": 1}, {"a": "integer", "b": "integer"})
    assert not tasks.keeps_schema([1], {"a": "integer"})
