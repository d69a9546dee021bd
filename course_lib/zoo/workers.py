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
    from torch.multiprocessing.spawn import spawn

    from course_lib.zoo.tokenizer import train_tokenizer

    for phase in recipe.phases:
        if workers < 1 or phase.tokens_per_step % (workers * phase.window):
            raise ValueError(
                f"{phase.tokens_per_step} tokens a step cannot be shared by {workers} workers in "
                f"windows of {phase.window}; choose 1, 2 or 4 workers"
            )
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(folder)
    (folder / f"{recipe.name}-workers").unlink(missing_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn(_work, (recipe, folder, workers), nprocs=workers)  # type: ignore[no-untyped-call]


def _work(rank: int, recipe: Recipe, folder: Path, workers: int) -> None:
    import torch

    from course_lib.zoo.train import train

    torch.set_num_threads(1)
    train(recipe, folder, rank, workers)
