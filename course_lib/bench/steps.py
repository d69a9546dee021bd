"""Engine steps, recovered from the time stamps of their tokens.

Every sequence that takes part in a step gets its token at the same moment, so that equal
stamps are one step. This works for any engine that stamps a token when it exists.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from course_lib.bench.measures import Timed

# Stamps nearer than this are one step: far below any step, far above rounding.
SAME_STEP_S = 1e-6


@dataclass(frozen=True)
class TimedStep:
    """One step of an engine, seen from outside.

    Attributes:
        end: seconds on the clock of ``submitted_at``.
        seconds: since the step before; for the first step, since the first submission.
        rows: sequences that got a token.
    """

    end: float
    seconds: float
    rows: int


def steps_of(requests: Sequence[Timed]) -> list[TimedStep]:
    """The steps of one run, in order; empty if no request has a token."""
    ticks = Counter(
        round((request.submitted_at + stamp) / SAME_STEP_S)
        for request in requests
        for stamp in request.token_times
    )
    if not ticks:
        return []
    begin = round(min(request.submitted_at for request in requests) / SAME_STEP_S)
    return [
        TimedStep(now * SAME_STEP_S, (now - before) * SAME_STEP_S, ticks[now])
        for before, now in itertools.pairwise([begin, *sorted(ticks)])
    ]
