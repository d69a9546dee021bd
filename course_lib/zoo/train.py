"""Training of a course model: data-parallel workers, Muon for matrices, AdamW for the rest,
resumable.

Muon (Jordan et al. 2024) takes an orthogonalised momentum step for every weight matrix; on models
of this
size it needs about half the tokens of AdamW. Workers are processes with one thread each: they
share no
OpenMP team, so other work on the machine slows one without stalling all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from course_lib.zoo.corpus import documents
from course_lib.zoo.export import export
from course_lib.zoo.initial import initial_weights
from course_lib.zoo.network import Weights, loss
from course_lib.zoo.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from course_lib.zoo.recipe import Recipe

CHECKPOINT_EVERY = 50
Progress = Callable[[str], None]
Encode = Callable[[list[str]], list[list[int]]]


def texts(seed: str, mixture: Mapping[str, float]) -> Iterator[str]:
    """Training texts in the shares of ``mixture``, without end; the same for the same seed."""
    rng = random.Random(seed)
    sources = {kind: documents(kind, "train", seed=rng.getrandbits(48)) for kind in mixture}
    kinds, shares = list(mixture), list(mixture.values())
    while True:
        yield next(sources[rng.choices(kinds, shares)[0]]).text


def batch(recipe: Recipe, step: int, rank: int, workers: int, encode: Encode) -> Tensor:
    """Windows ``[sequences, window + 1]`` of consecutive documents; a pure function of seed, step
    and rank.
    """
    phase, _ = recipe.at(step)
    rows = phase.tokens_per_step // workers // phase.window
    needed = rows * (phase.window + 1)
    stream = texts(f"{recipe.seed}/{step}/{rank}", phase.mixture)
    tokens: list[int] = []
    while len(tokens) < needed:
        for ids in encode(list(islice(stream, 64))):
            tokens += ids
    return torch.tensor(tokens[:needed]).view(rows, phase.window + 1)


def optimizers(weights: Weights) -> list[torch.optim.Optimizer]:
    matrices = [w for name, w in weights.items() if w.ndim == 2 and name != "embedding"]
    others = [w for name, w in weights.items() if w.ndim == 1 or name == "embedding"]
    return [
        torch.optim.Muon(matrices, momentum=0.95, weight_decay=0.05),
        torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


class Trainer:
    """One worker's state: master weights in float32, a compiled bfloat16 loss, the optimizers."""

    def __init__(self, recipe: Recipe, folder: Path, rank: int, workers: int) -> None:
        self.recipe, self.folder, self.rank, self.workers = recipe, folder, rank, workers
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        first = initial_weights(recipe.shape, recipe.seed, copying_heads=recipe.copying_heads)
        self.weights = {n: w.to(self.device).requires_grad_() for n, w in first.items()}
        self.optimizers = optimizers(self.weights)
        self.compiled = torch.compile(loss, dynamic=False)
        tokenizer = load_tokenizer(folder)
        end = tokenizer.eos_token_id
        self.encode = lambda batch: [[*ids, end] for ids in tokenizer(batch)["input_ids"]]
        self.step = self._resume()

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.recipe.name}-checkpoint.pt"

    def _resume(self) -> int:
        if not self.checkpoint.exists():
            return 0
        state = torch.load(self.checkpoint, map_location=self.device)
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"])

    def save(self) -> None:
        """Write a new checkpoint, then replace the old one: a kill leaves one of the two."""
        state = {
            "weights": {name: w.detach() for name, w in self.weights.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
        }
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def advance(self) -> float:
        """One step on this worker's share of the batch; returns the loss in nats per token."""
        windows = batch(self.recipe, self.step, self.rank, self.workers, self.encode).to(
            self.device
        )
        low = {n: w.detach().to(torch.bfloat16).requires_grad_() for n, w in self.weights.items()}
        value = self.compiled(windows[:, :-1], windows[:, 1:], low, self.recipe.shape)
        torch.autograd.backward(value)
        for name, weight in self.weights.items():
            gradient = low[name].grad
            assert gradient is not None
            weight.grad = gradient.float()
        self._share_gradients()
        phase, factor = self.recipe.at(self.step)
        rates = (phase.matrix_rate, phase.vector_rate)
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        self.step += 1
        return float(value.detach())

    def _share_gradients(self) -> None:
        if self.workers == 1:
            return
        gradients = [w.grad for w in self.weights.values() if w.grad is not None]
        flat = torch.cat([g.view(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= self.workers
        for gradient, part in zip(
            gradients, flat.split_with_sizes([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))


def train(
    recipe: Recipe, folder: Path, rank: int = 0, workers: int = 1, report: Progress = print
) -> None:
    """Train to the end of the recipe, from the checkpoint in ``folder`` if there is one, and
    export the model.
    """
    if workers > 1:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder}/{recipe.name}-workers",
            rank=rank,
            world_size=workers,
        )
    trainer = Trainer(recipe, folder, rank, workers)
    started, seen, recent = time.perf_counter(), 0, 0.0
    while trainer.step < recipe.steps:
        seen += recipe.at(trainer.step)[0].tokens_per_step
        value = trainer.advance()
        recent = value if not recent else 0.95 * recent + 0.05 * value
        if rank == 0 and trainer.step % 10 == 0:
            rate = seen / (time.perf_counter() - started)
            left = recipe.tokens_after(trainer.step) / rate / 60
            report(
                f"{recipe.name} step {trainer.step}/{recipe.steps} loss {recent:.3f} "
                f"{rate:,.0f} tokens/s, {left:.0f} min left"
            )
        if rank == 0 and (trainer.step % CHECKPOINT_EVERY == 0 or trainer.step == recipe.steps):
            trainer.save()
    if rank == 0:
        export(trainer.weights, recipe.shape, folder, folder / recipe.name)
    if workers > 1:
        dist.destroy_process_group()
