"""Requests over time: waiting, prefill, and a tick for every token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_lib.bench import measures
from course_lib.viz import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from course_lib.backends import Completion

TICK = "#9cc3de"
LANE_POINTS = 520  # width of the longest lane, in points


def timelines(
    runs: Mapping[str, Sequence[Completion]],
    *,
    kind: str,
    title: str = "When each request waits, is read, and speaks",
) -> Figure:
    """One lane per request, one panel per run, on a common axis of seconds.

    A lane shows the wait in the queue (grey), the prefill up to the first token (orange) and the
    decoding (blue), with a light tick for each token.

    Args:
        runs: completions by the name of their run.
        kind: what produced them.
        title: the message.
    """
    lanes = [max(len(requests), 1) for requests in runs.values()]
    lane = 0.22 if max(lanes) <= 16 else 0.13
    height = 1.2 + sum(0.45 + lane * count for count in lanes)
    with style.canvas(
        title,
        kind=kind,
        height=height,
        nrows=len(runs),
        sharex=True,
        squeeze=False,
        height_ratios=lanes,
    ) as (figure, axes):
        tick_width = _tick_width([one for requests in runs.values() for one in requests])
        for panel, (name, requests) in zip(axes[:, 0], runs.items(), strict=True):
            _draw_lanes(panel, requests, tick_width)
            panel.set_title(name)
        axes[-1, 0].set_xlabel("seconds since the first submission")
        axes[-1, 0].set_xlim(left=0)
        figure.legend(
            handles=[
                Patch(color=style.WAIT, label="waiting"),
                Patch(color=style.PREFILL, label="prefill, to the first token"),
                Patch(color=style.DECODE, label="decode"),
                Line2D([], [], color=TICK, marker="|", linestyle="", label="token"),
            ],
            loc="outside lower left",
            ncols=4,
        )
    return figure


def _tick_width(requests: Sequence[Completion]) -> float:
    """Line width of a token's tick in points: narrower where tokens are dense."""
    gaps = [gap for request in requests for gap in measures.itl(request)]
    span = measures.makespan(requests)
    if not gaps or not span:
        return 0.7
    return min(0.7, 0.25 * measures.percentile(gaps, 50) / span * LANE_POINTS)


def _draw_lanes(axes: Axes, requests: Sequence[Completion], tick_width: float) -> None:
    origin = min((request.submitted_at for request in requests), default=0.0)
    for row, request in enumerate(requests):
        start = request.submitted_at - origin
        begin = start + request.scheduled_time
        axes.barh(row, request.scheduled_time, left=start, height=0.72, color=style.WAIT)
        if not request.token_times:
            continue
        first, last = start + request.token_times[0], start + request.token_times[-1]
        axes.barh(row, first - begin, left=begin, height=0.72, color=style.PREFILL)
        axes.barh(row, last - first, left=first, height=0.72, color=style.DECODE)
        ticks = [start + time for time in request.token_times]
        axes.vlines(ticks, row - 0.36, row + 0.36, color=TICK, linewidth=tick_width)
    axes.set_ylim(len(requests) - 0.4, -0.6)
    axes.set_yticks([0, len(requests) - 1] if len(requests) > 1 else [0])
    axes.set_ylabel("request")
    axes.tick_params(axis="y", length=0)
    style.grid(axes, "x")
