"""What the graders of notebook vllm/2.1/02 must accept and refuse."""

from __future__ import annotations

import itertools

from course_lib.backends import Completion, Usage
from course_lib.lab.testing import Cases, Wrong


def _completion(prompt: int, first: float, gap: float, tokens: int) -> Completion:
    return Completion(
        prompt_token_ids=tuple(range(prompt)),
        token_ids=tuple(range(tokens)),
        text="",
        token_times=tuple(first + gap * at for at in range(tokens)),
        finish_reason="length",
        usage=Usage(prompt, tokens),
        submitted_at=5.0,
    )


# Two static batches of two rows: 0.1 s per step, the second begins when the first has ended.
RUN = [
    _completion(10, 0.5, 0.1, 3),
    _completion(12, 0.5, 0.1, 11),
    _completion(14, 2.0, 0.1, 5),
    _completion(16, 2.0, 0.1, 6),
]
LENGTHS = [3, 11, 5, 6]
SECONDS = 2.5  # 2.0 s to the first token of the last batch, five gaps after it
WAITS = [0.7, 1.5, 2.4, 2.5]

CASES = [
    Cases(
        "vllm",
        "2.1-02-ex1",
        solution=lambda t: (t[0], (t[-1] - t[0]) / (len(t) - 1), t[-1]),
        also_right=lambda t: [
            min(t),
            sum(b - a for a, b in itertools.pairwise(t)) / len(t[1:]),
            max(t),
        ],
        wrong=(
            Wrong(lambda t: (t[0], t[-1] / len(t), t[-1]), "silence-in-tpot"),
            Wrong(lambda t: (t[0], (t[-1] - t[0]) / len(t), t[-1]), "tokens-for-gaps"),
            Wrong(
                lambda t: (t[0], (t[-1] - t[0]) / (len(t) - 1), sum(t)),
                "stamps-taken-as-durations",
            ),
            Wrong(
                lambda t: (t[0], (t[-1] - t[0]) / (len(t) - 1), t[-1] - t[0]),
                "wait-without-silence",
            ),
            Wrong(lambda t: (t[1] - t[0], (t[-1] - t[0]) / (len(t) - 1), t[-1]), "another-ttft"),
            Wrong(lambda t: (t[0], 1.0, t[-1]), "another-formula"),
            Wrong(lambda t: t[0], "not-three-numbers"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-02-ex2",
        solution=sum(LENGTHS) / SECONDS,
        also_right=1 / (SECONDS / sum(LENGTHS)),
        wrong=(
            Wrong((sum(LENGTHS) + 52) / SECONDS, "prompt-tokens-counted"),
            Wrong((2 * 11 + 2 * 6) / SECONDS, "padding-counted"),
            Wrong((3 / 0.7 + 11 / 1.5 + 5 / 2.4 + 6 / 2.5) / 4, "mean-of-rates"),
            Wrong(3 / 0.7 + 11 / 1.5 + 5 / 2.4 + 6 / 2.5, "sum-of-rates"),
            Wrong(sum(LENGTHS) / sum(WAITS), "waits-added"),
            Wrong(1.0, "another-quotient"),
        ),
        measured={"completions": RUN, "batch_size": 2},
    ),
    Cases(
        "vllm",
        "2.1-02-ex3",
        solution=1 - 25 / 34,
        also_right=9 / 34,
        wrong=(
            Wrong(25 / 34, "useful-share"),
            Wrong(1 - 25 / 44, "one-batch-for-all"),
            Wrong((8 / 22 + 1 / 12) / 2, "mean-of-shares"),
            Wrong(100 * 9 / 34, "percent"),
            Wrong(0.5, "another-share"),
        ),
        measured={"lengths": LENGTHS, "batch_size": 2},
    ),
    Cases(
        "vllm",
        "2.1-02-ex4",
        solution=(1.5 + 2.4) / 2,
        also_right=1.951,
        wrong=(
            Wrong((0.5 + 2.0) / 2 + (0.4 + 0.5) / 2, "sum-of-percentiles"),
            Wrong(sum(WAITS) / 4, "mean-for-median"),
            Wrong((0.5 + 2.0) / 2, "ttft-for-e2e"),
            Wrong(9.0, "another-wait"),
        ),
        measured={"completions": RUN},
    ),
]
