"""One report on the pair of course models: tasks, perplexities, agreement, rounding. Feeds the
model card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from course_lib.zoo.evaluation.generate import continue_greedily, load_model
from course_lib.zoo.evaluation.pair import compare
from course_lib.zoo.evaluation.rounding import round_linear_weights
from course_lib.zoo.evaluation.tasks import all_tasks, fact_accuracy
from course_lib.zoo.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

ROUNDED_BITS = (8, 4, 3)


def evaluate_pair(target: Path, draft: Path, count: int) -> dict[str, Any]:
    """``tasks`` of the target, ``facts`` of the draft, ``kinds`` (the pair per kind), ``rounded``
    fact accuracy.

    ``count`` held-out documents per task and kind, three times as many facts.
    """
    tokenizer = load_tokenizer(target)
    models = {"target": load_model(target), "draft": load_model(draft)}

    def facts_of(name: str) -> float:
        return fact_accuracy(
            lambda p, n: continue_greedily(models[name], tokenizer, p, n), 3 * count
        )["facts_exact"]

    report: dict[str, Any] = {
        "count": count,
        "parameters": {name: model.num_parameters() for name, model in models.items()},
        "tasks": all_tasks(
            lambda p, n: continue_greedily(models["target"], tokenizer, p, n), count
        ),
        "draft_facts_exact": facts_of("draft"),
        "kinds": compare(models["target"], models["draft"], tokenizer, count),
        "rounded_facts_exact": {},
    }
    for bits in ROUNDED_BITS:
        models["target"] = load_model(target)
        round_linear_weights(models["target"], bits)
        report["rounded_facts_exact"][str(bits)] = facts_of("target")
    return report


def render(report: dict[str, Any]) -> str:
    """The report as Markdown tables."""
    lines = [f"Held-out texts per task: {report['count']} (facts: {3 * report['count']}).", ""]
    lines += ["| target's task | share right |", "|---|---:|"]
    lines += [f"| {name} | {share:.1%} |" for name, share in report["tasks"].items()]
    lines += [
        f"| facts_exact, weights rounded to {bits} bits | {share:.1%} |"
        for bits, share in report["rounded_facts_exact"].items()
    ]
    lines += [f"| facts_exact of the draft | {report['draft_facts_exact']:.1%} |", ""]
    lines += [
        "| kind | tokens | target perplexity | draft perplexity "
        "| same greedy token | acceptance 1 - TV |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for kind, k in report["kinds"].items():
        lines.append(
            f"| {kind} | {k['tokens']:,} | {k['target_perplexity']:.2f} "
            f"| {k['draft_perplexity']:.2f} | {k['agreement']:.2f} | {k['acceptance']:.2f} |"
        )
    return "\n".join(lines)
