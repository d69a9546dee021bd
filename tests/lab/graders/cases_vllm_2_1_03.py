"""What the graders of notebook vllm/2.1/03 must accept and refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from course_lib.lab.testing import Cases, Wrong


def _nucleus(probabilities: Any, top_p: float) -> Any:
    order = np.argsort(-probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    kept = np.zeros_like(probabilities)
    kept[order[before < top_p]] = probabilities[order[before < top_p]]
    return kept / kept.sum()


def _nucleus_in_a_loop(probabilities: Any, top_p: float) -> list[float]:
    kept, total = [0.0] * len(probabilities), 0.0
    for token in sorted(range(len(probabilities)), key=lambda token: -probabilities[token]):
        if total < top_p:
            kept[token] = float(probabilities[token])
            total += kept[token]
    return [share / total for share in kept]


def _without_the_crossing_token(probabilities: Any, top_p: float) -> Any:
    order = np.argsort(-probabilities)
    kept = np.where(np.isin(np.arange(len(probabilities)), order[:0]), probabilities, 0.0)
    inside = np.cumsum(probabilities[order]) <= top_p
    kept[order[inside]] = probabilities[order[inside]]
    return kept / max(kept.sum(), 1e-12)


def _not_rescaled(probabilities: Any, top_p: float) -> Any:
    return np.where(_nucleus(probabilities, top_p) > 0, probabilities, 0.0)


def _not_sorted(probabilities: Any, top_p: float) -> Any:
    before = np.cumsum(probabilities) - probabilities
    kept = np.where(before < top_p, probabilities, 0.0)
    return kept / kept.sum()


def _min_p(probabilities: Any, top_p: float) -> Any:
    kept = np.where(probabilities >= top_p * probabilities.max(), probabilities, 0.0)
    return kept / kept.sum()


def _threshold(probabilities: Any, top_p: float) -> Any:
    kept = np.where(probabilities >= 1 - top_p, probabilities, 0.0)
    return kept / kept.sum()


def _only_the_kept(probabilities: Any, top_p: float) -> Any:
    kept = _nucleus(probabilities, top_p)
    return kept[kept > 0]


def _steps(prompt: int, cached: int, running: int, budget: int) -> int:
    return -(-(prompt - cached) // (budget - running))


CASES = [
    Cases(
        "vllm",
        "2.1-03-ex1",
        solution=lambda lengths, steps, slots: sum(lengths) / (steps * slots),
        also_right=lambda lengths, steps, slots: float(np.sum(lengths)) / slots / steps,
        measured={"lengths": [12, 6, 9, 120, 8, 10], "steps": 130, "slots": 3},
        wrong=(
            Wrong(lambda lengths, steps, slots: sum(lengths) / steps, "slots-forgotten"),
            Wrong(
                lambda lengths, steps, slots: len(lengths) / (steps * slots), "requests-for-tokens"
            ),
            Wrong(lambda lengths, steps, slots: steps * slots / sum(lengths), "upside-down"),
            Wrong(lambda lengths, steps, slots: np.mean(lengths) / max(lengths), "longest-of-all"),
            Wrong(lambda lengths, steps, slots: 0.5, "other"),
            Wrong(0.4, "not-a-function"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-03-ex2",
        solution=_nucleus,
        also_right=_nucleus_in_a_loop,
        wrong=(
            Wrong(_not_rescaled, "not-rescaled"),
            Wrong(_without_the_crossing_token, "crossing-token-left-out"),
            Wrong(_not_sorted, "not-sorted"),
            Wrong(_min_p, "min-p"),
            Wrong(_threshold, "threshold"),
            Wrong(_only_the_kept, "shape-changed"),
            Wrong(lambda probabilities, top_p: probabilities, "other"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-03-ex3",
        solution="1[1-8][0-9][0-9]",
        also_right=r"1(1|2|3|4|5|6|7|8)\d{2}",
        wrong=(
            Wrong(r"\d{4}", "too-wide"),
            Wrong(r"1\d{3}", "too-wide"),
            Wrong(r"1[1-8]\d+", "not-a-year"),
            Wrong(r"1[1-8]\d", "not-a-year"),
            Wrong("1100-1899", "range"),
            Wrong(r"^1[1-8]\d\d$", "anchors"),
            Wrong("[1100-1899]", "matches-nothing"),
            Wrong(r"1[1-7]\d\d", "too-narrow"),
            Wrong(1100, "not-a-text"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-03-ex4",
        solution=_steps,
        also_right=lambda prompt, cached, running, budget: math.ceil(
            (prompt - cached) / (budget - running)
        ),
        wrong=(
            Wrong(lambda p, c, r, b: math.ceil((p - c) / b), "running-forgotten"),
            Wrong(lambda p, c, r, b: math.ceil(p / (b - r)), "cache-forgotten"),
            Wrong(lambda p, c, r, b: (p - c) // (b - r), "rounded-down"),
            Wrong(lambda p, c, r, b: (p - c) / (b - r), "fraction-of-a-step"),
            Wrong(lambda p, c, r, b: math.ceil((p - c + r) / b), "running-once"),
            Wrong(lambda p, c, r, b: p, "other"),
            Wrong(7, "not-a-function"),
        ),
    ),
]
