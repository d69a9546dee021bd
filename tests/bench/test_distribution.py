"""The law of a sampler, against small cases worked by hand and against simulated draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.backends import Sampling
from course_lib.bench.distribution import (
    expected_total_variation,
    next_token_probabilities,
    total_variation,
)

HALVES = np.log([0.5, 0.25, 0.15, 0.1])


def law(**parameters: float) -> list[float]:
    sampling = Sampling(**{"temperature": 1.0, **parameters})  # type: ignore[arg-type]
    return [round(float(p), 4) for p in next_token_probabilities(HALVES.tolist(), sampling)]


def test_without_parameters_it_is_the_softmax() -> None:
    assert law() == [0.5, 0.25, 0.15, 0.1]


def test_temperature_divides_the_logarithms() -> None:
    squares = np.array([0.5, 0.25, 0.15, 0.1]) ** 2
    assert law(temperature=0.5) == pytest.approx(squares / squares.sum(), abs=1e-4)
    assert law(temperature=0.0) == [1, 0, 0, 0]


def test_each_cut_keeps_what_it_says() -> None:
    assert law(top_k=2) == [0.6667, 0.3333, 0, 0]
    assert law(top_p=0.6) == [0.6667, 0.3333, 0, 0]
    assert law(top_p=0.5) == [1, 0, 0, 0]
    assert law(min_p=0.3) == [0.5556, 0.2778, 0.1667, 0]


def test_the_nucleus_is_taken_from_what_top_k_has_left() -> None:
    # After top_k=3 the likeliest token has 0.5556 and alone is the nucleus of 0.55.
    assert law(top_k=3, top_p=0.55) == [1, 0, 0, 0]
    assert law(top_p=0.55) == [0.6667, 0.3333, 0, 0]


def test_temperature_comes_before_the_nucleus() -> None:
    assert law(temperature=0.5, top_p=0.6) == [1, 0, 0, 0]


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=40), st.integers(50, 2000))
def test_draws_stray_as_far_as_chance_allows(weights: list[float], draws: int) -> None:
    probabilities = np.array(weights) / sum(weights)
    drawn = np.random.default_rng(0).choice(len(weights), size=draws, p=probabilities)
    strayed = total_variation(probabilities, drawn.tolist())
    allowance = 4 * np.sqrt(1 / draws)
    assert strayed <= expected_total_variation(probabilities, draws) + allowance


def test_the_expected_distance_is_met_on_average() -> None:
    probabilities = next_token_probabilities(HALVES.tolist(), Sampling(temperature=1.0))
    rng = np.random.default_rng(1)
    strayed = [
        total_variation(probabilities, rng.choice(4, size=400, p=probabilities).tolist())
        for _ in range(300)
    ]
    assert np.mean(strayed) == pytest.approx(expected_total_variation(probabilities, 400), rel=0.05)
