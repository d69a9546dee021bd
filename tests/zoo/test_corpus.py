"""The corpus: same seed same text, held-out texts never trained on, texts that are true."""

from __future__ import annotations

import json
import re
from itertools import islice

import pytest

from course_lib.zoo.corpus import KINDS, documents, held_out
from course_lib.zoo.corpus.chat import fact_prompts
from course_lib.zoo.corpus.document import Document, split_of
from course_lib.zoo.corpus.world import ATTRIBUTES, cities
from course_lib.zoo.evaluation import sandbox
from course_lib.zoo.evaluation.tasks import compiles, keeps_schema


def train(kind: str, n: int, seed: int = 0) -> list[Document]:
    return list(islice(documents(kind, "train", seed), n))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_texts(kind: str) -> None:
    assert [d.text for d in train(kind, 20)] == [d.text for d in train(kind, 20)]
    assert [d.text for d in train(kind, 20)] != [d.text for d in train(kind, 20, seed=1)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "chat"])
def test_held_out_keys_are_never_trained_on(kind: str) -> None:
    assert {split_of(d.meta["key"]) for d in train(kind, 300)} == {"train"}
    assert {split_of(d.meta["key"]) for d in held_out(kind, 50)} == {"held_out"}


def test_the_held_out_phrasing_of_a_fact_is_never_trained_on() -> None:
    trained = "\n".join(d.text for d in train("chat", 4000))
    asked = [re.findall(r"<\|user\|>(.*?)<\|end_of_turn\|>", d.prompt)[-1] for d in fact_prompts()]
    assert len(asked) == len(cities()) * len(ATTRIBUTES) >= 2000
    assert not [question for question in asked if question in trained]


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"poetry.*choose one of chat, code"):
        next(documents("poetry"))


def test_every_function_compiles_and_runs_on_its_arguments() -> None:
    written = train("code", 400)
    cases = [
        sandbox.Case(d.text, d.meta["name"], sandbox.arguments(d.meta["argument"])) for d in written
    ]
    failed = [result for result in sandbox.run(cases) if isinstance(result, str)]
    assert all(compiles(d.text) for d in written)
    assert not failed


def test_functions_with_different_docstrings_mostly_behave_differently() -> None:
    by_kind: dict[str, set[str]] = {}
    texts: dict[str, set[str]] = {}
    for d in train("code", 300):
        case = sandbox.Case(d.text, d.meta["name"], sandbox.arguments(d.meta["argument"]))
        by_kind.setdefault(d.meta["argument"], set()).add(str(sandbox.run([case])[0]))
        texts.setdefault(d.meta["argument"], set()).add(d.meta["key"])
    for kind, results in by_kind.items():
        assert len(results) > 0.6 * len(texts[kind]), (
            f"arguments of kind {kind} tell too little apart"
        )


def test_arithmetic_is_right() -> None:
    for d in train("arithmetic", 200):
        a, sign, b = re.fullmatch(r"Work out (\d+) (.) (\d+)\.\n", d.prompt).groups()  # type: ignore[union-attr]
        want = {"+": int(a) + int(b), "-": int(a) - int(b), "x": int(a) * int(b)}[sign]
        assert d.completion.endswith(f"Answer: {want}")


def test_records_hold_the_fields_asked_for() -> None:
    for d in train("json", 200):
        assert keeps_schema(json.loads(d.completion), d.meta["schema"])


def test_a_register_and_a_dictation_hold_their_answer() -> None:
    for d in [*train("register", 100), *train("echo", 100)]:
        assert d.meta["answer"] in d.prompt
        assert d.meta["answer"] in d.completion


def test_kinds_differ_in_how_well_they_compress() -> None:
    import zlib

    def ratio(kind: str) -> float:
        text = "\n".join(d.text for d in train(kind, 200)).encode()
        return len(zlib.compress(text, 9)) / len(text)

    ratios = {kind: ratio(kind) for kind in KINDS}
    assert max(ratios, key=lambda kind: ratios[kind]) == "noise"
    assert max(ratios.values()) > 3 * min(ratios.values())
