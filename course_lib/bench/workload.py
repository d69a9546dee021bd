"""Workloads: lists of requests of known lengths, made from the corpus, the same for a seed."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_lib.backends import Sampling
from course_lib.zoo import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROSE_KINDS = ("story", "summary", "chat", "code")


@dataclass(frozen=True)
class Work:
    """One request to be made: a prompt as token ids, and how to continue it."""

    prompt: tuple[int, ...]
    sampling: Sampling


def prompts_of(work: Sequence[Work]) -> list[tuple[int, ...]]:
    """The prompts, for ``Engine.generate``."""
    return [item.prompt for item in work]


def samplings_of(work: Sequence[Work]) -> list[Sampling]:
    """The sampling parameters, for ``Engine.generate``."""
    return [item.sampling for item in work]


def mixed(
    tokenizer: Any,
    n: int,
    *,
    prompt_tokens: tuple[int, int] = (16, 256),
    output_tokens: tuple[int, int] = (8, 128),
    seed: int = 0,
    kinds: Sequence[str] = PROSE_KINDS,
) -> list[Work]:
    """``n`` requests of mixed length that share no prefix.

    Args:
        tokenizer: a transformers tokenizer.
        n: how many.
        prompt_tokens: smallest and largest prompt length; drawn uniformly.
        output_tokens: smallest and largest output length; drawn uniformly. The end-of-sequence
            token is ignored, so that every engine does the same work.
        seed: of texts and lengths.
        kinds: kinds of text, taken in turn.
    """
    rng = random.Random(seed)
    streams = {kind: _tokens(tokenizer, kind, rng.randrange(1 << 30)) for kind in kinds}
    work = []
    for kind in itertools.islice(itertools.cycle(kinds), n):
        length = rng.randint(*prompt_tokens)
        work.append(
            Work(
                prompt=tuple(itertools.islice(streams[kind], length)),
                sampling=Sampling(max_tokens=rng.randint(*output_tokens), ignore_eos=True),
            )
        )
    return work


def shared_prefix(
    tokenizer: Any,
    n: int,
    *,
    prefix_tokens: int,
    question_tokens: int,
    output_tokens: int,
    seed: int = 0,
) -> list[Work]:
    """``n`` requests that begin with the same ``prefix_tokens`` tokens, like a system prompt."""
    rng = random.Random(seed)
    prefix = tuple(
        itertools.islice(_tokens(tokenizer, "story", rng.randrange(1 << 30)), prefix_tokens)
    )
    rest = _tokens(tokenizer, "chat", rng.randrange(1 << 30))
    sampling = Sampling(max_tokens=output_tokens, ignore_eos=True)
    return [
        Work(prefix + tuple(itertools.islice(rest, question_tokens)), sampling) for _ in range(n)
    ]


def _tokens(tokenizer: Any, kind: str, seed: int) -> Iterator[int]:
    """Token ids of held-out texts of one kind, one text after the other, without end."""
    for document in corpus.documents(kind, "held_out", seed):
        yield from tokenizer(document.text, add_special_tokens=False)["input_ids"]
