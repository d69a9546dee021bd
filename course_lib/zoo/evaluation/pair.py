"""Target against draft: perplexity per kind, greedy agreement, and the acceptance that sampling
would see.

Acceptance of a drafted token under the rejection rule is the overlap sum(min(p, q)) = 1 - TV(p, q)
(Leviathan et al. 2022, Theorem 3.5). It is not entropy that lowers it: two calibrated models
agree about noise.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from course_lib.zoo.corpus import KINDS, held_out
from course_lib.zoo.corpus.chat import END

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class KindReport:
    """One kind of held-out text, averaged over its tokens; perplexities are exp(mean nats)."""

    tokens: int
    target_perplexity: float
    draft_perplexity: float
    agreement: float
    acceptance: float


@torch.inference_mode()
def compare(
    target: PreTrainedModel, draft: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, n: int
) -> dict[str, dict[str, float]]:
    """One `KindReport` as a dict per kind, and one for ``"all"``, over ``n`` held-out documents
    of each kind.
    """
    sums = {
        kind: _sums(target, draft, tokenizer, [d.text + END for d in held_out(kind, n)])
        for kind in KINDS
    }
    sums["all"] = torch.stack(list(sums.values())).sum(0)
    return {kind: asdict(_report(s)) for kind, s in sums.items()}


def _sums(
    target: PreTrainedModel,
    draft: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
) -> Tensor:
    """Sums over tokens: count, target nats, draft nats, equal arg-max, overlap of the
    distributions.
    """
    total = torch.zeros(5, dtype=torch.float64)
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        p = target(ids).logits[0, :-1].float().log_softmax(-1)
        q = draft(ids).logits[0, :-1].float().log_softmax(-1)
        next_ids = ids[0, 1:, None]
        overlap = torch.minimum(p, q).exp().sum()
        equal = (p.argmax(-1) == q.argmax(-1)).sum()
        row = [
            next_ids.shape[0],
            -p.gather(1, next_ids).sum(),
            -q.gather(1, next_ids).sum(),
            equal,
            overlap,
        ]
        total += torch.tensor([float(value) for value in row], dtype=torch.float64)
    return total


def _report(sums: Tensor) -> KindReport:
    count, target_nats, draft_nats, equal, overlap = sums.tolist()
    return KindReport(
        int(count),
        math.exp(target_nats / count),
        math.exp(draft_nats / count),
        equal / count,
        overlap / count,
    )
