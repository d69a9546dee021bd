"""Python functions whose docstring says what they do: filters, loops, branches and nested loops
composed.

A specification is composed first; docstring, name and body are written from it. The body is the
reference:
a model's function is right if it returns the same values on the same arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus.code_families import FAMILIES
from course_lib.zoo.corpus.document import Document, Split

if TYPE_CHECKING:
    import random


def draw(rng: random.Random, _split: Split) -> Document:
    """One function; the prompt is its signature and docstring.

    The line break belongs to the completion: the tokenizer joins it with the indentation that
    follows.
    """
    function = rng.choice(FAMILIES)(rng)
    prompt = f'def {function.name}({function.parameter}):\n    """{function.docstring}"""'
    body = "\n" + "".join(f"    {line}\n" for line in function.body)
    meta = {
        "key": function.docstring,
        "name": function.name,
        "argument": function.argument,
        "source": prompt + body,
    }
    return Document("code", prompt, body, meta)
