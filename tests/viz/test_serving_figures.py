"""Figures of engine steps and of a server under load draw what they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.bench.steps import TimedStep
from course_lib.serving.watch import Reading
from course_lib.viz.live_metrics import live
from course_lib.viz.predicted import against_prediction
from course_lib.viz.step_price import step_price
from tests.viz.conftest import KIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    Texts = Callable[[Figure], list[str]]


def test_step_prices_name_their_runs_and_the_fit(texts: Texts) -> None:
    steps = [TimedStep(end=0.1 * rows, seconds=0.01 + 0.001 * rows, rows=rows) for rows in (1, 4)]
    figure = step_price({"static": steps, "vLLM": steps}, fixed=0.01, per_row=0.001, kind=KIND)
    assert {"static", "vLLM", "fixed / rows + per row", KIND} <= set(texts(figure))


def test_a_prediction_stands_beside_each_bar_that_has_one(texts: Texts) -> None:
    figure = against_prediction(
        {"slow": 10.0, "fast": 1234.0},
        {"fast": 1500.0},
        unit="tokens/s",
        kind=KIND,
        title="Throughput",
    )
    assert {"slow", "fast", "10", "1,234", "predicted", "Throughput", KIND} <= set(texts(figure))


def test_live_metrics_shade_each_load(texts: Texts) -> None:
    readings = [Reading(at, running=2, waiting=at, kv_usage=0.1 * at) for at in (0.0, 1.0, 2.0)]
    figure = live(readings, {"calm": (0.0, 1.0), "flood": (1.0, 2.0)}, slots=2, kind=KIND)
    assert {"calm", "flood", "running", "waiting", "max_num_seqs", KIND} <= set(texts(figure))
