"""Latency and throughput, defined once and used by every lab.

One request is submitted at time s, and its n output tokens exist at t_1 <= ... <= t_n seconds
after that.

==========  =====================================  =================================
quantity    definition                             source
==========  =====================================  =================================
TTFT        t_1                                    time to first token [1], [2]
ITL         t_(i+1) - t_i, for each i < n          inter-token latency [2]
TPOT        (t_n - t_1) / (n - 1), n > 1           time per output token [1], [2]
E2E         t_n                                    end-to-end latency [2]
throughput  tokens of all requests / makespan      output, or prompt and output [2]
goodput     requests within all limits / makespan  [1], section 2.2
==========  =====================================  =================================

The makespan runs from the first submission to the last token. TTFT contains the wait in a queue.
Beware of ITL and TPOT: the mean over all ITLs weighs long answers more than the mean over
requests of TPOT.

[1] Zhong et al., DistServe, OSDI 2024. [2] vLLM, ``vllm/benchmarks/serve.py`` and its metrics.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from course_lib.backends import Usage


class Timed(Protocol):
    """A request with its time stamps: a ``Completion``, or a record of ``bench.load``."""

    @property
    def submitted_at(self) -> float:
        """Seconds on a clock shared by the requests that are compared."""
        ...

    @property
    def token_times(self) -> tuple[float, ...]:
        """Seconds from submission to each output token, ascending."""
        ...

    @property
    def usage(self) -> Usage:
        """Token counts."""
        ...


def ttft(request: Timed) -> float:
    """Time to first token, in seconds; NaN if there is no token."""
    return request.token_times[0] if request.token_times else math.nan


def itl(request: Timed) -> list[float]:
    """Inter-token latencies, in seconds: one fewer than there are time stamps."""
    times = request.token_times
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def tpot(request: Timed) -> float:
    """Mean time per output token after the first, in seconds; NaN below two tokens."""
    gaps = request.usage.completion_tokens - 1
    if gaps < 1 or not request.token_times:
        return math.nan
    return (request.token_times[-1] - request.token_times[0]) / gaps


def e2e(request: Timed) -> float:
    """End-to-end latency, in seconds: submission to last token; NaN if there is no token."""
    return request.token_times[-1] if request.token_times else math.nan


def makespan(requests: Sequence[Timed]) -> float:
    """Seconds from the first submission to the last token of any request; 0 without tokens."""
    ends = [r.submitted_at + r.token_times[-1] for r in requests if r.token_times]
    if not ends:
        return 0.0
    return max(ends) - min(request.submitted_at for request in requests)


def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile, 0 <= q <= 100, with linear interpolation; NaN values are left out.

    The p99 of fewer than 100 values is close to their maximum: report it with their number.
    """
    finite = [value for value in values if not math.isnan(value)]
    return float(np.percentile(finite, q)) if finite else math.nan


@dataclass(frozen=True)
class Distribution:
    """A quantity over many observations, in the unit of the observations."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Distribution:
        """Summarise the values that are not NaN; NaN everywhere if there is none."""
        finite = [value for value in values if not math.isnan(value)]
        return cls(
            count=len(finite),
            mean=float(np.mean(finite)) if finite else math.nan,
            p50=percentile(finite, 50),
            p90=percentile(finite, 90),
            p95=percentile(finite, 95),
            p99=percentile(finite, 99),
            max=max(finite, default=math.nan),
        )


@dataclass(frozen=True)
class Summary:
    """One run in numbers. Latencies in seconds, rates per second.

    Attributes:
        requests: how many there were.
        prompt_tokens: of all requests.
        output_tokens: of all requests.
        makespan: seconds from the first submission to the last token.
        request_throughput: requests per second.
        output_throughput: output tokens per second.
        total_throughput: prompt and output tokens per second.
    """

    requests: int
    prompt_tokens: int
    output_tokens: int
    makespan: float
    request_throughput: float
    output_throughput: float
    total_throughput: float
    ttft: Distribution
    itl: Distribution
    tpot: Distribution
    e2e: Distribution


def summarize(requests: Sequence[Timed]) -> Summary:
    """All measures of requests that were run together."""
    seconds = makespan(requests)
    prompt = sum(request.usage.prompt_tokens for request in requests)
    output = sum(request.usage.completion_tokens for request in requests)

    def per_second(count: int) -> float:
        return count / seconds if seconds > 0 else 0.0

    return Summary(
        requests=len(requests),
        prompt_tokens=prompt,
        output_tokens=output,
        makespan=seconds,
        request_throughput=per_second(len(requests)),
        output_throughput=per_second(output),
        total_throughput=per_second(prompt + output),
        ttft=Distribution.of([ttft(request) for request in requests]),
        itl=Distribution.of([gap for request in requests for gap in itl(request)]),
        tpot=Distribution.of([tpot(request) for request in requests]),
        e2e=Distribution.of([e2e(request) for request in requests]),
    )


@dataclass(frozen=True)
class Limits:
    """What a request must keep to be good; a limit that is None does not count.

    Attributes:
        ttft: seconds to the first token.
        tpot: seconds per output token; a request with one token keeps it.
        e2e: seconds end to end.
    """

    ttft: float | None = None
    tpot: float | None = None
    e2e: float | None = None

    def kept_by(self, request: Timed) -> bool:
        """Whether the request got tokens and kept every limit."""
        if not request.token_times:
            return False
        pairs = (
            (self.ttft, ttft(request)),
            (self.tpot, tpot(request)),
            (self.e2e, e2e(request)),
        )
        return all(limit is None or math.isnan(value) or value <= limit for limit, value in pairs)


def goodput(requests: Sequence[Timed], limits: Limits, seconds: float | None = None) -> float:
    """Requests per second that keep all limits; over the makespan if ``seconds`` is None."""
    duration = makespan(requests) if seconds is None else seconds
    good = sum(limits.kept_by(request) for request in requests)
    return good / duration if duration > 0 else 0.0


def table(runs: Mapping[str, Sequence[Timed]]) -> pd.DataFrame:
    """One row per run: throughput in tokens/s, latencies in milliseconds."""
    rows = {}
    for name, requests in runs.items():
        summary = summarize(requests)
        rows[name] = {
            "requests": summary.requests,
            "output tokens": summary.output_tokens,
            "seconds": summary.makespan,
            "output tok/s": summary.output_throughput,
            "TTFT p50 ms": summary.ttft.p50 * 1e3,
            "TTFT p99 ms": summary.ttft.p99 * 1e3,
            "ITL p50 ms": summary.itl.p50 * 1e3,
            "ITL p99 ms": summary.itl.p99 * 1e3,
            "TPOT mean ms": summary.tpot.mean * 1e3,
            "E2E p50 ms": summary.e2e.p50 * 1e3,
        }
    return pd.DataFrame.from_dict(rows, orient="index").round(1)
