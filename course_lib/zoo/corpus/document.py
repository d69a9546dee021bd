"""What one text of the corpus is, and how train and held-out texts are kept apart."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "held_out"]
Draw = Callable[[random.Random, Split], "Document"]

#: One key in this many belongs to the held-out set.
HELD_OUT_ONE_IN = 12


@dataclass(frozen=True)
class Document:
    """One text: ``prompt`` is what a model is given in an evaluation, ``completion`` what should
    follow.

    ``meta`` carries what a check needs: the fact asked, the schema, the reference function, the
    subject.
    """

    kind: str
    prompt: str
    completion: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.prompt + self.completion


def split_of(key: str) -> Split:
    """The split that a document's key (its docstring, operands, subject ...) belongs to, for
    ever.
    """
    return "held_out" if zlib.crc32(key.encode()) % HELD_OUT_ONE_IN == 0 else "train"
