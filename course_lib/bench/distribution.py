"""What a sampler should draw from, and how far a finite number of draws may stray from it.

Order of the steps as in vLLM's sampler: temperature, min-p, then top-k, then top-p, each on
what the one before has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from course_lib.backends import Sampling

    Vector = NDArray[np.float64]


def next_token_probabilities(logprobs: Sequence[float], sampling: Sampling) -> Vector:
    """Probability of each token of the vocabulary under the sampling parameters.

    Penalties are not applied: they depend on what was written before.

    Args:
        logprobs: log-probabilities (natural) of the model at temperature 1, [vocabulary].
        sampling: temperature, min_p, top_k and top_p are used.

    Returns:
        Probabilities, [vocabulary], summing to 1; greedy sampling gives one of them everything.

    Source:
        Holtzman et al. 2020 (top-p); Nguyen et al. 2024 (min-p).
    """
    scores = np.asarray(logprobs, dtype=float)
    if sampling.temperature == 0:
        return np.where(np.arange(len(scores)) == np.argmax(scores), 1.0, 0.0)
    scores = scores / sampling.temperature
    probabilities = _normalised(np.exp(scores - scores.max()))
    least = sampling.min_p * probabilities.max()
    probabilities = _normalised(np.where(probabilities >= least, probabilities, 0.0))
    order = np.argsort(-probabilities, kind="stable")
    if sampling.top_k:
        probabilities[order[sampling.top_k :]] = 0.0
        probabilities = _normalised(probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    probabilities[order[before >= sampling.top_p]] = 0.0
    return _normalised(probabilities)


def total_variation(probabilities: Vector, drawn: Sequence[int]) -> float:
    """Total variation distance, 0 to 1, between a distribution and the shares of drawn tokens.

    It is the probability that has to be moved to make the two equal.

    Args:
        probabilities: [vocabulary].
        drawn: token ids, one per draw.
    """
    shares = np.bincount(drawn, minlength=len(probabilities)) / len(drawn)
    return float(np.abs(shares - probabilities).sum() / 2)


def expected_total_variation(probabilities: Vector, draws: int) -> float:
    """Total variation that chance alone leaves between the distribution and so many draws of it.

    A token of probability p is drawn with a share of standard deviation sqrt(p (1 - p) / draws),
    whose mean absolute deviation is that times sqrt(2 / pi) if it is about normal. A token that
    is expected less than once deviates by at most twice its probability.
    """
    spread = np.sqrt(2 * probabilities * (1 - probabilities) / (np.pi * draws))
    return float(np.minimum(spread, 2 * probabilities).sum() / 2)


def _normalised(weights: Vector) -> Vector:
    total: Vector = weights / weights.sum()
    return total
