"""What the graders of notebook vllm/2.1/04 must accept and refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from course_lib.backends import Usage
from course_lib.bench.load import LoadResult, Record
from course_lib.lab.testing import Cases, Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence


def _pieces(lines: Sequence[str], nothing: str | None = "") -> list[str]:
    events = [line[6:] for line in lines if line.startswith("data: ") and "DONE" not in line]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return [str(choice["delta"].get("content", nothing)) for choice in choices]


def _by_hand(lines: Sequence[str]) -> str:
    text = ""
    for line in lines:
        if line.startswith("data:") and (event := line[5:].strip()) != "[DONE]":
            for choice in json.loads(event)["choices"]:
                text += choice["delta"].get("content") or ""
    return text


def _due(sent: Sequence[float], rate: float) -> list[float]:
    return [sent[0] + index / rate for index in range(len(sent))]


def _honest(sent: Sequence[float], waits: Sequence[float], rate: float) -> list[float]:
    return [s + w - d for s, w, d in zip(sent, waits, _due(sent, rate), strict=True)]


# Three answers and one that did not come, in four seconds; two a second were meant.
LOAD = LoadResult(
    "open",
    2.0,
    4.0,
    (
        Record(0.0, (0.2, 0.6), Usage(5, 2), "ok"),
        Record(1.0, (0.3, 0.7), Usage(5, 2), "ok"),
        Record(2.0, (1.0, 1.7), Usage(5, 2), "ok"),
        Record(3.9, (), Usage(5, 0), "cancelled"),
    ),
)

CASES = [
    Cases(
        "vllm",
        "2.1-04-ex1",
        solution=lambda lines: "".join(_pieces(lines)),
        also_right=_by_hand,
        wrong=(
            Wrong(_pieces, "not-a-text"),
            Wrong(lambda lines: "".join(_pieces(lines)) + "[DONE]", "end-mark-as-text"),
            Wrong(lambda lines: [p for p in _pieces(lines) if p][-1], "last-piece-only"),
            Wrong(lambda lines: "".join(_pieces(lines, None)), "none-as-text"),
            Wrong(lambda lines: " ".join(_pieces(lines)), "glue-between-pieces"),
            Wrong(lambda lines: "\n".join(_pieces(lines)), "glue-between-pieces"),
            Wrong(lambda _: "something else", "another-text"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-04-ex2",
        solution=0.75 * 1.0,
        also_right=(0.6 + 0.7 + 1.7) / 4.0,
        wrong=(
            Wrong(2.0 * 1.0, "offered-for-passed"),
            Wrong(750.0, "milliseconds"),
            Wrong(0.75 * 0.5, "ttft-for-time-inside"),
            Wrong(0.75 * 0.7, "median"),
            Wrong(4, "all-of-them"),
            Wrong(17.0, "another-product"),
        ),
        measured={"load": LOAD},
    ),
    Cases(
        "vllm",
        "2.1-04-ex3",
        solution=_honest,
        also_right=lambda sent, waits, rate: [
            wait + (s - sent[0]) - index / rate
            for index, (s, wait) in enumerate(zip(sent, waits, strict=True))
        ],
        wrong=(
            Wrong(lambda sent, waits, rate: list(waits), "as-timed"),
            Wrong(
                lambda sent, waits, rate: [
                    s - d for s, d in zip(sent, _due(sent, rate), strict=True)
                ],
                "delay-alone",
            ),
            Wrong(
                lambda sent, waits, rate: [
                    s + w - i / rate for i, (s, w) in enumerate(zip(sent, waits, strict=True))
                ],
                "begin-forgotten",
            ),
            Wrong(
                lambda sent, waits, rate: [
                    w - s + d for s, w, d in zip(sent, waits, _due(sent, rate), strict=True)
                ],
                "sign",
            ),
            Wrong(lambda sent, waits, rate: [0.0] * len(sent), "another-clock"),
        ),
    ),
]
