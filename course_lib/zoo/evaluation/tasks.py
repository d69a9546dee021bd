"""The held-out tasks: facts, JSON, functions, summaries, arithmetic, registers. A task scores
completions.

Every score is a share between 0 and 1 of the documents that pass; a task never looks at
likelihoods.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from course_lib.zoo.corpus import Document, held_out
from course_lib.zoo.corpus.chat import fact_prompts
from course_lib.zoo.evaluation import sandbox

Generate = Callable[[Sequence[str], int], list[str]]
Scores = dict[str, float]


def fact_accuracy(generate: Generate, n: int, seed: int = 0) -> Scores:
    """``facts``: the value is in the answer; ``facts_exact``: the whole sentence is right. Held-
    out phrasings.
    """
    prompts = fact_prompts("held_out")
    asked = random.Random(seed).sample(prompts, min(n, len(prompts)))
    answers = generate([d.prompt for d in asked], 28)
    exact = [
        a == d.completion.removesuffix("<|end_of_turn|>")
        for a, d in zip(answers, asked, strict=True)
    ]
    return {
        "facts": _share([d.meta["value"] in a for a, d in zip(answers, asked, strict=True)]),
        "facts_exact": _share(exact),
    }


def json_accuracy(generate: Generate, n: int) -> Scores:
    """``json_parses``, ``json_schema`` (keys in order and types) and ``json_values`` (every value
    right).
    """
    documents = held_out("json", n)
    answers = generate([d.prompt for d in documents], 120)
    records = [_parse(a) for a in answers]
    schema = [keeps_schema(r, d.meta["schema"]) for r, d in zip(records, documents, strict=True)]
    values = [r == d.meta["record"] for r, d in zip(records, documents, strict=True)]
    return {
        "json_parses": _share([r is not None for r in records]),
        "json_schema": _share(schema),
        "json_values": _share(values),
    }


def code_accuracy(generate: Generate, n: int) -> Scores:
    """``code_compiles`` and ``code_right``: same results as the reference on twelve arguments."""
    documents = held_out("code", n)
    written = [
        d.prompt + a
        for d, a in zip(documents, generate([d.prompt for d in documents], 140), strict=True)
    ]
    got = sandbox.run([_case(source, d) for source, d in zip(written, documents, strict=True)])
    want = sandbox.run([_case(d.meta["source"], d) for d in documents])
    return {
        "code_compiles": _share([compiles(source) for source in written]),
        "code_right": _share([g == w for g, w in zip(got, want, strict=True)]),
    }


def summary_accuracy(generate: Generate, n: int) -> Scores:
    """``summary_subject``: the subject is named; ``summary_exact``: the whole sentence is right."""
    documents = held_out("summary", n)
    answers = generate([d.prompt for d in documents], 48)
    named = [d.meta["subject"] in a for a, d in zip(answers, documents, strict=True)]
    return {
        "summary_subject": _share(named),
        "summary_exact": _share(
            [a == d.completion for a, d in zip(answers, documents, strict=True)]
        ),
    }


def copy_accuracy(generate: Generate, n: int) -> Scores:
    """``arithmetic``: the last line is right; ``register``: the asked entry is copied."""
    sums, registers = held_out("arithmetic", n), held_out("register", n)
    worked = generate([d.prompt for d in sums], 130)
    found = generate([d.prompt for d in registers], 16)
    return {
        "arithmetic": _share(
            [a.endswith(f"Answer: {d.meta['answer']}") for a, d in zip(worked, sums, strict=True)]
        ),
        "register": _share([a == d.completion for a, d in zip(found, registers, strict=True)]),
    }


def all_tasks(generate: Generate, n: int) -> Scores:
    """Every score, each on ``n`` held-out documents (three times as many facts)."""
    scores = fact_accuracy(generate, 3 * n)
    for task in (json_accuracy, code_accuracy, summary_accuracy, copy_accuracy):
        scores |= task(generate, n)
    return scores


def keeps_schema(record: Any, schema: dict[str, str]) -> bool:
    """Whether a parsed record has just the fields asked for, in order, each of its JSON type."""
    if not isinstance(record, dict) or list(record) != list(schema):
        return False
    return all(_TYPES[name](record[field]) for field, name in schema.items())


def compiles(source: str) -> bool:
    try:
        compile(source, "model", "exec")
    except SyntaxError:
        return False
    return True


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def _case(source: str, document: Document) -> sandbox.Case:
    return sandbox.Case(source, document.meta["name"], sandbox.arguments(document.meta["argument"]))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _share(passed: list[bool]) -> float:
    return sum(passed) / len(passed)
