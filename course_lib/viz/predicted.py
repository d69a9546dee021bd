"""Measurements as bars, each with a mark where the prediction stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.viz import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure


def against_prediction(
    measured: Mapping[str, float],
    predicted: Mapping[str, float],
    *,
    unit: str,
    kind: str,
    title: str,
) -> Figure:
    """One horizontal bar per run, and a diamond where it was predicted.

    Args:
        measured: by name of the run.
        predicted: by the same names; a run without a prediction has no diamond.
        unit: of both.
        kind: what produced the measurements.
        title: the message.
    """
    names = list(measured)
    longest = max(*measured.values(), *predicted.values())
    with style.canvas(title, kind=kind, height=1.3 + 0.5 * len(names)) as (figure, axes):
        for row, (name, value) in enumerate(measured.items()):
            axes.barh(row, value, height=0.62, color=style.colour(row))
            label = f"{value:,.4g}"
            axes.text(1.16 * longest, row, label, va="center", ha="right", fontweight="bold")
            if name in predicted:
                axes.plot(
                    predicted[name], row, marker="D", color=style.PAPER, markeredgecolor=style.INK
                )
        axes.plot(
            [],
            [],
            marker="D",
            color=style.PAPER,
            markeredgecolor=style.INK,
            linestyle="",
            label="predicted",
        )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, longest * 1.17)
        axes.set_xlabel(unit)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside lower left")
        style.grid(axes, "x")
    return figure
