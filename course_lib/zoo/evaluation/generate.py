"""Load a model folder with transformers and continue prompts greedily, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from course_lib.zoo.corpus.chat import END, END_OF_TURN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder in float32, ready to evaluate."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


@torch.inference_mode()
def continue_greedily(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    max_tokens: int,
    batch_size: int = 64,
) -> list[str]:
    """The text that follows each prompt, up to the end token or ``max_tokens`` tokens.

    Prompts are sorted by length so that a batch holds little padding; the order of the answers is
    that
    of the prompts.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    texts = [""] * len(prompts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = tokenizer(
            [prompts[i] for i in chosen],
            padding=True,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        output = model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)
        new = output[:, batch["input_ids"].shape[1] :]
        for i, text in zip(chosen, tokenizer.batch_decode(new), strict=True):
            texts[i] = text.split(END)[0].split(END_OF_TURN)[0].replace("<|pad|>", "")
    return texts
