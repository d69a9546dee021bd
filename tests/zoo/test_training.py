"""Training: the network is transformers' Llama, a resumed run is an unbroken one, loss falls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from course_lib.zoo.export import export
from course_lib.zoo.initial import initial_weights
from course_lib.zoo.network import Shape, logits
from course_lib.zoo.recipe import BALANCED, RECIPES, Phase, Recipe
from course_lib.zoo.tokenizer import load_tokenizer, train_tokenizer
from course_lib.zoo.train import Trainer, train
from course_lib.zoo.workers import train_with_workers

if TYPE_CHECKING:
    from pathlib import Path

TINY = Recipe(
    "tiny",
    Shape(hidden=32, ffn=48, layers=2, num_heads=4, num_kv_heads=2, head_dim=8, vocabulary=600),
    (Phase(6, 256, 64, BALANCED, 0.02, 0.01), Phase(6, 256, 128, BALANCED, 0.02, 0.01, decay=True)),
    warmup_steps=2,
)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(folder, vocabulary_size=600)
    return folder


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def workplace(tokenizer_folder: Path, folder: Path) -> Path:
    for file in tokenizer_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_the_network_is_transformers_llama(tokenizer_folder: Path, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    shape = TINY.shape
    weights = {n: (5 * w).bfloat16().float() for n, w in initial_weights(shape, 1).items()}
    export(weights, shape, tokenizer_folder, tmp_path)
    model = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    tokens = torch.arange(40).view(2, 20) * 13 % shape.vocabulary
    torch.testing.assert_close(
        logits(tokens, weights, shape), model(tokens).logits, atol=1e-4, rtol=1e-4
    )
    assert model.num_parameters() == shape.num_parameters


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
        workplace(tokenizer_folder, folder)
    train(TINY, whole, report=lambda _: None)
    broken = Trainer(TINY, parts, 0, 1)
    for _ in range(7):
        broken.advance()
    broken.save()
    train(TINY, parts, report=lambda _: None)
    same = [(folder / "tiny" / "model.safetensors").read_bytes() for folder in (whole, parts)]
    assert same[0] == same[1]


def test_the_loss_falls(tokenizer_folder: Path, tmp_path: Path) -> None:
    phase = Phase(40, 1024, 64, {"arithmetic": 1.0}, 0.02, 0.01)
    trainer = Trainer(replace(TINY, phases=(phase,)), workplace(tokenizer_folder, tmp_path), 0, 1)
    losses = [trainer.advance() for _ in range(40)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_rates_warm_up_and_decay() -> None:
    factors = [TINY.at(step)[1] for step in range(TINY.steps)]
    assert factors[0] == 0.5
    assert factors[1:7] == [1.0] * 6
    assert factors[6:] == pytest.approx([1 - i / 6 for i in range(6)])
    with pytest.raises(ValueError, match="past the end"):
        TINY.at(TINY.steps)


def test_tokens_left_add_up() -> None:
    for recipe in RECIPES.values():
        assert recipe.tokens == sum(p.steps * p.tokens_per_step for p in recipe.phases)
        assert recipe.tokens_after(recipe.steps) == 0


def test_workers_that_cannot_share_a_step_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose"):
        train_with_workers(RECIPES["target"], tmp_path, 7)
    assert not list(tmp_path.iterdir())


def test_the_tokenizer_writes_every_string_back(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_folder)
    for text in ("Zürich 4,831 — 東京", "def f(x):\n    return x\n", "\x00\t"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids[1:]) == text
        assert ids[0] == tokenizer.bos_token_id
    assert len(tokenizer.tokenize("4831")) == 4


def test_copying_heads_copy_before_any_training() -> None:
    shape = RECIPES["target"].shape
    line = torch.randint(10, shape.vocabulary, (8, 40), generator=torch.Generator().manual_seed(0))
    twice = torch.cat((line, line), dim=1)

    def share_copied(copying_heads: bool) -> float:
        weights = initial_weights(shape, 1, copying_heads=copying_heads)
        scores = logits(twice[:, :-1], weights, shape)[:, 40:]
        # A tied model without training first of all repeats the token it has just read.
        guesses = scores.scatter(-1, line[:, :-1, None], float("-inf")).argmax(-1)
        return float((guesses == line[:, 1:]).float().mean())

    assert share_copied(False) < 0.01
    assert share_copied(True) > 0.5


def test_copying_heads_are_refused_where_they_do_not_fit() -> None:
    with pytest.raises(ValueError, match="two layers"):
        initial_weights(RECIPES["draft"].shape, 1, copying_heads=True)
