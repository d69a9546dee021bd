"""The definitions of latency and throughput hold for any request."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.backends import Completion, Usage
from course_lib.bench import measures

seconds = st.floats(min_value=1e-4, max_value=100.0)


@st.composite
def requests(draw: st.DrawFn, min_tokens: int = 1) -> Completion:
    gaps = draw(st.lists(seconds, min_size=min_tokens, max_size=20))
    times = tuple(math.fsum(gaps[: at + 1]) for at in range(len(gaps)))
    return request(times, submitted_at=draw(st.floats(0, 100)))


def request(times: tuple[float, ...], submitted_at: float = 0.0, prompt: int = 5) -> Completion:
    return Completion(
        prompt_token_ids=(0,) * prompt,
        token_ids=(1,) * len(times),
        text="",
        token_times=times,
        finish_reason="length",
        usage=Usage(prompt, len(times)),
        submitted_at=submitted_at,
    )


@given(requests())
def test_first_token_and_gaps_add_up_to_the_whole(one: Completion) -> None:
    assert measures.ttft(one) + math.fsum(measures.itl(one)) == pytest.approx(measures.e2e(one))


@given(requests(min_tokens=2))
def test_time_per_output_token_is_the_mean_gap(one: Completion) -> None:
    gaps = measures.itl(one)
    assert measures.tpot(one) == pytest.approx(math.fsum(gaps) / len(gaps))
    slack = 1e-9 * measures.e2e(one)
    assert min(gaps) - slack <= measures.tpot(one) <= max(gaps) + slack


@given(st.lists(requests(), min_size=1, max_size=8))
def test_throughput_counts_every_token_once(many: list[Completion]) -> None:
    summary = measures.summarize(many)
    assert summary.output_tokens == sum(len(one.token_ids) for one in many)
    assert summary.output_throughput * summary.makespan == pytest.approx(summary.output_tokens)
    assert summary.total_throughput >= summary.output_throughput
    assert summary.makespan >= max(measures.e2e(one) for one in many) - 1e-9


@given(st.lists(requests(), min_size=1, max_size=8))
def test_percentiles_are_ordered_and_bounded(many: list[Completion]) -> None:
    ttft = measures.summarize(many).ttft
    assert ttft.p50 <= ttft.p90 <= ttft.p95 <= ttft.p99 <= ttft.max
    assert min(measures.ttft(one) for one in many) <= ttft.p50


@given(st.lists(requests(), min_size=1, max_size=8), seconds)
def test_goodput_grows_with_looser_limits_up_to_the_throughput(
    many: list[Completion], limit: float
) -> None:
    strict = measures.goodput(many, measures.Limits(ttft=limit))
    loose = measures.goodput(many, measures.Limits(ttft=2 * limit))
    free = measures.goodput(many, measures.Limits())
    assert strict <= loose <= free
    assert free == pytest.approx(measures.summarize(many).request_throughput)


def test_a_worked_example() -> None:
    one = request((0.5, 0.6, 0.8), submitted_at=10.0)
    two = request((1.0,), submitted_at=11.0)
    assert measures.ttft(one) == 0.5
    assert measures.itl(one) == pytest.approx([0.1, 0.2])
    assert measures.tpot(one) == pytest.approx(0.15)
    assert math.isnan(measures.tpot(two))
    summary = measures.summarize([one, two])
    assert summary.makespan == pytest.approx(2.0)
    assert summary.output_throughput == pytest.approx(2.0)
    assert summary.total_throughput == pytest.approx(7.0)
    assert measures.goodput([one, two], measures.Limits(ttft=0.7)) == pytest.approx(0.5)


def test_a_request_without_tokens_is_never_good_and_has_no_latency() -> None:
    none = request(())
    assert math.isnan(measures.ttft(none))
    assert math.isnan(measures.e2e(none))
    assert measures.goodput([none], measures.Limits()) == 0.0
    assert measures.summarize([none]).output_throughput == 0.0


def test_table_has_a_row_per_run() -> None:
    frame = measures.table({"a": [request((0.1, 0.2))], "b": [request((0.3,))]})
    assert list(frame.index) == ["a", "b"]
    assert frame.loc["a", "TTFT p50 ms"] == pytest.approx(100.0)
