"""Multi-digit arithmetic written out as at school: digit by digit, with the carry said aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.zoo.corpus.document import Document, Split

if TYPE_CHECKING:
    import random


def draw(rng: random.Random, _split: Split) -> Document:
    """Addition, subtraction or multiplication by one digit; the answer stands at the end."""
    operation = rng.choice((_add, _add, _subtract, _multiply))
    return operation(rng)


def _digits(number: int) -> list[int]:
    return [int(d) for d in reversed(str(number))]


def _number(rng: random.Random) -> int:
    length = rng.randint(2, 5)
    return rng.randint(10 ** (length - 1), 10**length - 1)


def _document(sign: str, a: int, b: int, steps: list[str], result: int) -> Document:
    key = f"{a}{sign}{b}"
    prompt = f"Work out {a} {sign} {b}.\n"
    completion = "\n".join([*steps, f"Answer: {result}"])
    return Document("arithmetic", prompt, completion, {"key": key, "answer": result})


def _add(rng: random.Random) -> Document:
    a, b = _number(rng), _number(rng)
    x, y, carry, steps = _digits(a), _digits(b), 0, []
    for i in range(max(len(x), len(y))):
        p, q = (x[i] if i < len(x) else 0), (y[i] if i < len(y) else 0)
        total = p + q + carry
        steps.append(f"{p} + {q} + {carry} = {total}, write {total % 10}, carry {total // 10}.")
        carry = total // 10
    return _document("+", a, b, steps, a + b)


def _subtract(rng: random.Random) -> Document:
    b, a = sorted((_number(rng), _number(rng)))
    x, y, borrow, steps = _digits(a), _digits(b), 0, []
    for i in range(len(x)):
        p, q = x[i], (y[i] if i < len(y) else 0)
        total = p - q - borrow
        next_borrow = int(total < 0)
        steps.append(f"{p} - {q} - {borrow} = {total}, write {total % 10}, borrow {next_borrow}.")
        borrow = next_borrow
    return _document("-", a, b, steps, a - b)


def _multiply(rng: random.Random) -> Document:
    a, b = _number(rng), rng.randint(2, 9)
    carry, steps = 0, []
    for p in _digits(a):
        total = p * b + carry
        steps.append(f"{p} x {b} + {carry} = {total}, write {total % 10}, carry {total // 10}.")
        carry = total // 10
    return _document("x", a, b, steps, a * b)
