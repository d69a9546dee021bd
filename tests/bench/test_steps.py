"""Steps recovered from token time stamps."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from course_lib.backends import Usage
from course_lib.bench.steps import steps_of


@dataclass(frozen=True)
class Request:
    submitted_at: float
    token_times: tuple[float, ...]

    @property
    def usage(self) -> Usage:
        return Usage(1, len(self.token_times))


def test_tokens_with_one_stamp_are_one_step() -> None:
    long, short = Request(10.0, (0.5, 0.7, 1.0)), Request(10.0, (0.5, 0.7))
    steps = steps_of([short, long])
    assert [step.rows for step in steps] == [2, 2, 1]
    assert [step.seconds for step in steps] == pytest.approx([0.5, 0.2, 0.3])
    assert steps[-1].end == pytest.approx(11.0)


def test_a_request_that_comes_later_shares_the_clock() -> None:
    steps = steps_of([Request(1.0, (0.5, 1.5)), Request(2.0, (0.5,))])
    assert [step.rows for step in steps] == [1, 2]


def test_rounding_does_not_split_a_step() -> None:
    steps = steps_of([Request(0.1, (0.2,)), Request(0.3 - 1e-12, (1e-9,))])
    assert [step.rows for step in steps] == [2]


def test_without_tokens_there_is_no_step() -> None:
    assert steps_of([Request(0.0, ())]) == []
