"""First weights: random, and for the target with one pair of heads that copies from the start.

An *induction head* finds the last place where the current token stood and copies what followed
(Olsson et al. 2022, "In-context Learning and Induction Heads"). It needs a head below it that tells
each position its previous token. Large models grow both in some billions of tokens; in the six
million that two CPU cores see in an hour they do not appear, and without them a model can neither
name the city it is asked about nor fill in a form. So we put the pair in by construction and let
training keep, change or drop it. Nothing in the architecture differs from Llama.
"""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.zoo.network import ROPE_THETA, Shape, Weights

EMBEDDING_STD = 0.3
#: frequencies that tell neighbours apart, and the first one that hardly turns within a window
FAST_FREQUENCIES, FIRST_SLOW_FREQUENCY = 8, 18


def initial_weights(shape: Shape, seed: int, *, copying_heads: bool = False) -> Weights:
    """Normal(0, 0.02) matrices, residual outputs scaled down by sqrt(2 x layers) as in GPT-2.

    Embeddings start wide (0.3) and the last norm narrow (0.07), so that first logits are small and
    yet a token's own vector is not drowned by what the first layers add to it: with 0.02 and ones,
    the residual stream grew to 250 times the embedding.

    Raises:
        ValueError: if ``copying_heads`` is asked of a model without two layers or with heads too
            narrow to hold them.
    """
    generator = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int, std: float = 0.02) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * std

    queries, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    residual = 0.02 / (2 * shape.layers) ** 0.5
    weights: Weights = {
        "embedding": matrix(shape.vocabulary, shape.hidden, EMBEDDING_STD),
        "norm": torch.full((shape.hidden,), 0.07),
    }
    for i in range(shape.layers):
        weights[f"{i}.attention_norm"] = torch.ones(shape.hidden)
        weights[f"{i}.qkv"] = matrix(queries + 2 * keys, shape.hidden)
        weights[f"{i}.out"] = matrix(shape.hidden, queries, residual)
        weights[f"{i}.ffn_norm"] = torch.ones(shape.hidden)
        weights[f"{i}.gate_up"] = matrix(2 * shape.ffn, shape.hidden)
        weights[f"{i}.down"] = matrix(shape.hidden, shape.ffn, residual)
    if copying_heads:
        _put_in_copying_heads(weights, shape, generator)
    return weights


def _put_in_copying_heads(weights: Weights, shape: Shape, generator: torch.Generator) -> None:
    """Head 0 of layer 0 looks one token back, head 0 of layer 1 is the induction head."""
    size = shape.head_dim
    if shape.layers < 2 or size < 64 or shape.hidden < 4 * size:
        raise ValueError("copying heads need two layers, head_dim >= 64 and hidden >= 4 head_dim")
    square = torch.randn(shape.hidden, shape.hidden, generator=generator)
    basis = torch.linalg.qr(square).Q.T.contiguous()
    common, identity, written = basis[-1], basis[:size], basis[size : 2 * size]
    embedding = weights["embedding"]
    embedding -= embedding @ written.T @ written  # room for what the first head writes
    embedding += 0.6 * EMBEDDING_STD * shape.hidden**0.5 * common

    key = shape.num_heads * size  # first row of kv head 0 in the fused matrix
    value = key + shape.num_kv_heads * size
    look_back, follow = weights["0.qkv"], weights["1.qkv"]

    query_pattern, key_pattern = _one_back(size)
    look_back[:size] = torch.outer(query_pattern, common)
    look_back[key : key + size] = torch.outer(key_pattern, common)
    look_back[value : value + size] = identity
    weights["0.out"][:, :size] = 0.5 * written.T

    slots = _slow_slots(size)
    follow[:size], follow[key : key + size] = 0.0, 0.0
    follow[slots] = 2.1 * identity[: len(slots)]
    follow[[key + slot for slot in slots]] = 2.1 * written[: len(slots)]
    follow[value : value + size] = identity
    weights["1.out"][:, :size] = 0.5 * identity.T


def _one_back(size: int) -> tuple[Tensor, Tensor]:
    """Query and key patterns whose rotary product peaks at a distance of one token."""
    query, key = torch.zeros(size), torch.zeros(size)
    for i in range(FAST_FREQUENCIES):
        angle = torch.tensor(ROPE_THETA ** (-2 * i / size))
        query[i], key[i], key[i + size // 2] = 0.74, 0.74 * angle.cos(), 0.74 * angle.sin()
    return query, key


def _slow_slots(size: int) -> list[int]:
    """Places in a head that rotary embedding turns too slowly to disturb a comparison."""
    slow = range(FIRST_SLOW_FREQUENCY, size // 2)
    return [*slow, *(i + size // 2 for i in slow)]
