"""What the graders of notebook vllm/2.1/01 must accept and refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from course_lib.lab.testing import Cases, Wrong


def _token_bytes(config: Any, dtype_bytes: int) -> int:
    row: int = config.num_key_value_heads * config.head_dim * dtype_bytes
    layers: int = config.num_hidden_layers
    return 2 * row * layers


def _fit(free_blocks: int, block_size: int, lengths: Sequence[int]) -> int:
    for count, length in enumerate(lengths):
        free_blocks -= -(-length // block_size)
        if free_blocks < 0:
            return count
    return len(lengths)


def _fit_by_sums(free_blocks: int, block_size: int, lengths: Sequence[int]) -> int:
    needs = [math.ceil(length / block_size) for length in lengths]
    return max(n for n in range(len(needs) + 1) if sum(needs[:n]) <= free_blocks)


def _shared(a: Sequence[int], b: Sequence[int], block_size: int) -> int:
    common = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        common += 1
    return common // block_size


def _shared_by_blocks(a: Sequence[int], b: Sequence[int], block_size: int) -> int:
    blocks = 0
    while True:
        end = (blocks + 1) * block_size
        if end > min(len(a), len(b)) or list(a[:end]) != list(b[:end]):
            return blocks
        blocks += 1


CASES = [
    Cases(
        "vllm",
        "2.1-01-ex1",
        solution=_token_bytes,
        also_right=lambda c, b: (
            sum(2 * c.head_dim * b for _ in range(c.num_key_value_heads)) * c.num_hidden_layers
        ),
        wrong=(
            Wrong(
                lambda c, b: 2 * c.num_attention_heads * c.head_dim * b * c.num_hidden_layers,
                "query-heads",
            ),
            Wrong(lambda c, b: _token_bytes(c, b) // 2, "values-forgotten"),
            Wrong(lambda c, b: _token_bytes(c, b) // c.num_hidden_layers, "layers-forgotten"),
            Wrong(
                lambda c, b: (
                    2
                    * c.num_key_value_heads
                    * (c.hidden_size // c.num_attention_heads)
                    * b
                    * c.num_hidden_layers
                ),
                "head-width-from-hidden-size",
            ),
            Wrong(lambda c, b: 2 * c.hidden_size * b * c.num_hidden_layers, "hidden-size"),
            Wrong(lambda c, b: _token_bytes(c, b) // b, "numbers-for-bytes"),
            Wrong(lambda c, b: 3 * _token_bytes(c, b), "other"),
            Wrong(98304, "not-a-function"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-01-ex2",
        solution=lambda gb, token, size: int(gb * 10**9) // (token * size),
        also_right=lambda gb, token, size: math.floor(gb * 1e9 / (token * size)),
        wrong=(
            Wrong(lambda gb, token, size: int(gb * 2**30) // (token * size), "gib-for-gb"),
            Wrong(lambda gb, token, size: math.ceil(gb * 1e9 / (token * size)), "rounded-up"),
            Wrong(lambda gb, token, size: round(gb * 1e9 / (token * size)), "rounded-up"),
            Wrong(lambda gb, token, size: int(gb * 10**9) // token, "tokens-for-blocks"),
            Wrong(lambda gb, token, size: gb * 10**9 / (token * size), "fraction-of-a-block"),
            Wrong(lambda gb, token, size: 7, "other"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-01-ex3",
        solution=lambda p, r, b: -(-(p + r - 1) // b),
        also_right=lambda p, r, b: math.ceil((p + r - 1) / b),
        wrong=(
            Wrong(lambda p, r, b: math.ceil((p + r) / b), "last-token-stored"),
            Wrong(lambda p, r, b: (p + r - 1) // b, "partial-block-forgotten"),
            Wrong(lambda p, r, b: (p + r) // b, "partial-block-forgotten"),
            Wrong(lambda p, r, b: math.ceil(p / b) + math.ceil(r / b), "reply-apart"),
            Wrong(lambda p, r, b: math.ceil(r / b), "prompt-forgotten"),
            Wrong(lambda p, r, b: p + r, "other"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-01-ex4",
        solution=_fit,
        also_right=_fit_by_sums,
        measured={"max_model_len": 1024},
        wrong=(
            Wrong(lambda free, size, lengths: _fit(free * size, 1, lengths), "tokens-for-blocks"),
            Wrong(
                lambda free, size, lengths: min(free // (1024 // size), len(lengths)),
                "reserved-the-limit",
            ),
            Wrong(lambda free, size, lengths: _fit(free - 1, size, lengths), "null-block-twice"),
            Wrong(
                lambda free, size, lengths: min(
                    free // math.ceil(max(lengths) / size), len(lengths)
                ),
                "longest-for-all",
            ),
            Wrong(lambda free, size, lengths: min(free, len(lengths)), "one-block-each"),
            Wrong(lambda free, size, lengths: 0, "other"),
        ),
    ),
    Cases(
        "vllm",
        "2.1-01-ex5",
        solution=_shared,
        also_right=_shared_by_blocks,
        wrong=(
            Wrong(
                lambda a, b, size: sum(x == y for x, y in zip(a, b, strict=False)) // size,
                "counts-behind-the-difference",
            ),
            Wrong(lambda a, b, size: len(set(a) & set(b)) // size, "order-ignored"),
            Wrong(lambda a, b, size: -(-_shared(a, b, 1) // size), "partial-shared"),
            Wrong(lambda a, b, size: _shared(a, b, 1), "tokens"),
            Wrong(lambda a, b, size: 99, "other"),
        ),
    ),
]
