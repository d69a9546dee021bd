"""Graders of notebook vllm/2.1/02, basic inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from course_lib.bench import measures
from course_lib.lab.grading import Hint, Pass, Verdict, grader

if TYPE_CHECKING:
    from collections.abc import Callable

    from course_lib.backends import Completion

# Answers are computed from the same stamps as ours, so they agree nearly to the last bit.
CLOSE = 0.005
STAMPS = (0.2, 0.25, 0.35, 0.5)


def near(answer: Any, value: float) -> bool:
    """Whether an answer is this number."""
    return isinstance(answer, int | float) and math.isclose(answer, value, rel_tol=CLOSE)


@grader("2.1-02-ex1", expects="a function that returns TTFT, TPOT and E2E in seconds")
def numbers_of(answer: Callable[[Sequence[float]], Any]) -> Verdict:
    """TTFT, TPOT and E2E of one request."""
    numbers = answer(STAMPS)
    if not isinstance(numbers, Sequence) or len(numbers) != 3:
        return Hint("Return three numbers in this order: TTFT, TPOT, E2E.", "not-three-numbers")
    ttft, tpot, e2e = numbers
    first, last, count = STAMPS[0], STAMPS[-1], len(STAMPS)
    if near(e2e, sum(STAMPS)):
        return Hint(
            "A stamp is counted from the moment the request was sent: it is no duration of its "
            "own, and adding stamps counts the early seconds again and again.",
            "stamps-taken-as-durations",
        )
    if near(e2e, last - first):
        return Hint("Does the visitor's wait begin with the first token?", "wait-without-silence")
    if near(tpot, last / count):
        return Hint(
            "Your TPOT contains the silence before the first token. A long queue would then look "
            "like slow writing.",
            "silence-in-tpot",
        )
    if near(tpot, (last - first) / count):
        return Hint("Count the gaps between the tokens, not the tokens.", "tokens-for-gaps")
    if not near(ttft, first):
        return Hint("TTFT is the stamp of one particular token.", "another-ttft")
    if near(tpot, (last - first) / (count - 1)) and near(e2e, last):
        return Pass("And E2E = TTFT + (n − 1) · TPOT holds for it.")
    return Hint("Compare each number with its formula in the table above.", "another-formula")


@grader("2.1-02-ex2", expects="output tokens per second of the whole run, a number")
def tokens_per_second(
    answer: Any, *, completions: Sequence[Completion], batch_size: int
) -> Verdict:
    """Throughput of a run, from its completions."""
    seconds = measures.makespan(completions)
    output = [one.usage.completion_tokens for one in completions]
    prompt = sum(one.usage.prompt_tokens for one in completions)
    own_rates = [n / measures.e2e(one) for n, one in zip(output, completions, strict=True)]
    if near(answer, sum(output) / seconds):
        return Pass("All useful output tokens, over one stretch of time for the whole pile.")
    if near(answer, (prompt + sum(output)) / seconds):
        return Hint(
            "Prompt tokens are read, many at once; nobody waits for them to be written. Counting "
            "them lets a server with long prompts look fast.",
            "prompt-tokens-counted",
        )
    if near(answer, computed_rows(output, batch_size) / seconds):
        return Hint(
            "A row that is finished is still computed, but what comes out of it is thrown away. "
            "Whoever reads the door wants tokens of answers.",
            "padding-counted",
        )
    if near(answer, sum(own_rates) / len(own_rates)):
        return Hint(
            "This is the mean of the letters' own rates. Each letter counts the same in it, and "
            "work done at the same time is not added: a mean of rates is not the rate of the pile.",
            "mean-of-rates",
        )
    if near(answer, sum(own_rates)):
        return Hint(
            "The sum of the letters' own rates takes all of them to be written at the same time.",
            "sum-of-rates",
        )
    if near(answer, sum(output) / sum(measures.e2e(one) for one in completions)):
        return Hint(
            "You have added the waits of all letters. Letters wait side by side, and the clock "
            "on the wall runs only once.",
            "waits-added",
        )
    return Hint(
        "Divide one count of tokens for the whole pile by one stretch of time for the whole pile.",
        "another-quotient",
    )


def computed_rows(lengths: Sequence[int], batch_size: int) -> int:
    """Rows that static batches of these answer lengths compute."""
    batches = [lengths[at : at + batch_size] for at in range(0, len(lengths), batch_size)]
    return sum(len(batch) * max(batch) for batch in batches)


@grader("2.1-02-ex3", expects="the share of computed rows that gave no token, between 0 and 1")
def wasted_share(answer: Any, *, lengths: Sequence[int], batch_size: int) -> Verdict:
    """Share of a static batch's rows that were computed for nothing."""
    useful = sum(lengths) / computed_rows(lengths, batch_size)
    batches = [lengths[at : at + batch_size] for at in range(0, len(lengths), batch_size)]
    shares = [1 - sum(batch) / (len(batch) * max(batch)) for batch in batches]
    if near(answer, 1 - useful):
        return Pass("So much of the machine's work nobody ever sees.")
    if near(answer, useful):
        return Hint("This is the share that was of use. What is left?", "useful-share")
    if near(answer, 1 - sum(lengths) / (len(lengths) * max(lengths))):
        return Hint(
            "You let every batch run as long as the longest answer of the whole pile. When does "
            "one batch end?",
            "one-batch-for-all",
        )
    if near(answer, sum(shares) / len(shares)):
        return Hint(
            "You have averaged the shares of the batches, so that a short batch weighs as much as "
            "a long one. Add rows first, divide last.",
            "mean-of-shares",
        )
    if near(answer, 100 * (1 - useful)):
        return Hint("Right rows, wrong unit: give a share between 0 and 1.", "percent")
    return Hint(
        "For each batch: how many steps does it run, and how many rows does each step compute?",
        "another-share",
    )


@grader("2.1-02-ex4", expects="the median of the letters' waits in seconds, a number")
def median_wait(answer: Any, *, completions: Sequence[Completion]) -> Verdict:
    """P50 of the end-to-end latency."""
    first = [measures.ttft(one) for one in completions]
    whole = [measures.e2e(one) for one in completions]
    rest = [later - earlier for earlier, later in zip(first, whole, strict=True)]
    if near(answer, measures.percentile(whole, 50)):
        return Pass("The median of the sums, not the sum of the medians.")
    if near(answer, measures.percentile(first, 50) + measures.percentile(rest, 50)):
        return Hint(
            "The visitor in the middle of the one list is another one than in the middle of the "
            "other: percentiles of parts do not add up to the percentile of the whole.",
            "sum-of-percentiles",
        )
    if near(answer, sum(whole) / len(whole)):
        return Hint("This is the mean, which a few long waits pull up.", "mean-for-median")
    if near(answer, measures.percentile(first, 50)):
        return Hint("So long the visitor waits for the first word. And then?", "ttft-for-e2e")
    return Hint("Take each letter's own end-to-end latency first, then the middle.", "another-wait")
