"""Start the training workers of one model: one process with one thread each, joined at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from course_lib.zoo.recipe import Recipe


def train_with_workers(recipe: Recipe, folder: Path, workers: int) -> None:
    """Train ``recipe`` in ``folder``; resumes from its checkpoint and learns the tokenizer first
    if there is none.

    Raises:
        ValueError: if the step cannot be divided among the workers in whole windows of the full
            context.
    """
    import torch.multiprocessing as multiprocessing

    from course_lib.zoo.tokenizer import train_tokenizer

    if workers < 1 or recipe.tokens_per_step % (workers * recipe.shape.context):
        raise ValueError(
            f"{recipe.tokens_per_step} tokens a step cannot be divided among {workers} workers "
            f"in windows of {recipe.shape.context}; choose 1, 2, 3, 4 or 6 workers"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(folder)
    (folder / f"{recipe.name}-workers").unlink(missing_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    multiprocessing.spawn(_work, (recipe, folder, workers), nprocs=workers)


def _work(rank: int, recipe: Recipe, folder: Path, workers: int) -> None:
    import torch

    from course_lib.zoo.train import train

    torch.set_num_threads(1)
    train(recipe, folder, rank, workers)
