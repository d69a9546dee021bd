"""Round-to-nearest of a model's linear weights: the simplest quantization, to see what the
weights carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def round_linear_weights(model: PreTrainedModel, bits: int) -> None:
    """Round every linear weight but the tied output head in place, symmetric, one scale per
    output channel.

    The scale is max|w| / (2^(bits-1) - 1), so that ``bits = 3`` leaves the seven levels -3 ... 3.
    """
    levels = 2 ** (bits - 1) - 1
    head = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            scale = module.weight.abs().amax(dim=1, keepdim=True) / levels
            module.weight.copy_((module.weight / scale).round() * scale)
