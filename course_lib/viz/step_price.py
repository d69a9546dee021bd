"""What a step of an engine costs, by the number of rows that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from course_lib.viz import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from course_lib.bench.steps import TimedStep


def step_price(
    runs: Mapping[str, Sequence[TimedStep]],
    *,
    fixed: float,
    per_row: float,
    kind: str,
    title: str = "A step has a fixed price; every row adds a little",
) -> Figure:
    """Two panels over the live rows of a step: its milliseconds, and those per token.

    Args:
        runs: decode steps by the name of their run; the lines belong to the last run.
        fixed: seconds of a step without rows, by the fit.
        per_row: seconds that each row adds.
        kind: what produced them.
        title: the message.
    """
    most = max(step.rows for steps in runs.values() for step in steps)
    rows = np.linspace(1, most, 200)
    with style.canvas(title, kind=kind, width=8.6, height=3.9, ncols=2) as (figure, (left, right)):
        for at, (name, steps) in enumerate(runs.items()):
            _scatter(left, steps, style.colour(at), per_token=False, label=name)
            _scatter(right, steps, style.colour(at), per_token=True, label=name)
        left.plot(rows, 1e3 * (fixed + per_row * rows), color=style.INK, linewidth=1.2)
        right.plot(
            rows,
            1e3 * (fixed / rows + per_row),
            color=style.INK,
            linewidth=1.2,
            label="fixed / rows + per row",
        )
        left.set(ylabel="milliseconds per step", ylim=(0, None), title="Price of a step")
        right.set(ylabel="milliseconds per token", yscale="log", title="Price of a token")
        right.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        for axes in (left, right):
            axes.set(xlabel="live rows in the step", xlim=(0, most + 1))
            style.grid(axes)
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=4)
    return figure


def _scatter(
    axes: Axes, steps: Sequence[TimedStep], colour: str, *, per_token: bool, label: str
) -> None:
    rows = np.array([step.rows for step in steps])
    spent = 1e3 * np.array([step.seconds for step in steps])
    axes.scatter(
        rows,
        spent / rows if per_token else spent,
        s=14,
        color=colour,
        alpha=0.55,
        linewidths=0,
        label=label,
    )
