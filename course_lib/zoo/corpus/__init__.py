"""The corpus of the course models: nine kinds of text of very different entropy, drawn without end.

Each kind is one module with a ``draw(rng, split)``. The same seed gives the same texts on every
machine.
Held-out texts are told apart by their content (the docstring, the operands, the phrasing of a
question),
never by position, so that no training text repeats one.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

from course_lib.zoo.corpus import (
    arithmetic,
    chat,
    code,
    echo,
    json_records,
    noise,
    register,
    story,
    summary,
)
from course_lib.zoo.corpus.document import Document, Draw, Split, split_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRAW: dict[str, Draw] = {
    "chat": chat.draw,
    "code": code.draw,
    "summary": summary.draw,
    "story": story.draw,
    "json": json_records.draw,
    "arithmetic": arithmetic.draw,
    "register": register.draw,
    "echo": echo.draw,
    "noise": noise.draw,
}
KINDS = tuple(_DRAW)

__all__ = ["KINDS", "Document", "Split", "documents", "held_out"]


def documents(kind: str, split: Split = "held_out", seed: int = 0) -> Iterator[Document]:
    """Texts of one kind without end; ``split`` is ``"train"`` or ``"held_out"``.

    Raises:
        ValueError: if ``kind`` is not one of `KINDS`.
    """
    if kind not in _DRAW:
        raise ValueError(f"no kind of text is called {kind!r}; choose one of {', '.join(KINDS)}")
    rng = random.Random(f"{kind}/{split}/{seed}")
    while True:
        document = _DRAW[kind](rng, split)
        if "key" not in document.meta or split_of(document.meta["key"]) == split:
            yield document


def held_out(kind: str, n: int, seed: int = 0) -> list[Document]:
    """The first ``n`` held-out texts of one kind."""
    return list(islice(documents(kind, "held_out", seed), n))
