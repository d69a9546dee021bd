"""The bundled models reach the bars that the labs rely on, measured by letting them generate."""

from __future__ import annotations

from typing import Any

import pytest

from course_lib.zoo import WEIGHTS, draft_path, target_path
from course_lib.zoo.evaluation.report import evaluate_pair
from course_lib.zoo.recipe import RECIPES

pytestmark = pytest.mark.slow

COUNT = 60


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return evaluate_pair(target_path(), draft_path(), COUNT)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("task", "bar"),
    [
        ("facts_exact", 0.90),
        ("json_parses", 0.95),
        ("json_schema", 0.95),
        ("code_compiles", 0.95),
        ("code_right", 0.80),
        ("summary_subject", 0.90),
    ],
)
def test_the_target_does_its_tasks(report: dict[str, Any], task: str, bar: float) -> None:
    assert report["tasks"][task] >= bar


def test_the_draft_knows_less(report: dict[str, Any]) -> None:
    assert report["draft_facts_exact"] <= 0.50
    everything = report["kinds"]["all"]
    assert everything["draft_perplexity"] >= 1.25 * everything["target_perplexity"]


def test_agreement_differs_by_kind(report: dict[str, Any]) -> None:
    shares = sorted(k["agreement"] for kind, k in report["kinds"].items() if kind != "all")
    assert shares[-1] >= 0.85
    assert shares[0] <= 0.60
    apart = [shares[0]]
    for share in shares:
        if share >= apart[-1] + 0.05:
            apart.append(share)
    assert len(apart) >= 4


def test_eight_bits_are_harmless_and_three_are_not(report: dict[str, Any]) -> None:
    full, rounded = report["tasks"]["facts_exact"], report["rounded_facts_exact"]
    assert rounded["8"] > full - 0.01
    assert rounded["3"] <= full - 0.10


def test_noise_is_not_what_lowers_acceptance(report: dict[str, Any]) -> None:
    kinds = {kind: k for kind, k in report["kinds"].items() if kind != "all"}
    hardest_to_predict = max(kinds, key=lambda kind: kinds[kind]["target_perplexity"])
    least_accepted = min(kinds, key=lambda kind: kinds[kind]["acceptance"])
    assert hardest_to_predict == "noise"
    assert least_accepted != "noise"


def test_the_weights_are_small_and_of_the_recipes_shapes(report: dict[str, Any]) -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30_000_000
    for name, recipe in RECIPES.items():
        assert report["parameters"][name] == recipe.shape.num_parameters
    assert 8e6 <= report["parameters"]["target"] <= 12e6
    assert report["parameters"]["draft"] < 1e6
