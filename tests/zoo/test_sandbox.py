"""Generated code runs apart: it cannot import, read files, run for ever or take all memory."""

from __future__ import annotations

import pytest

from course_lib.zoo.evaluation import sandbox


def result(body: str) -> list[str] | str:
    return sandbox.run([sandbox.Case(f"def f(n):\n    {body}\n", "f", [3, 4])])[0]


def test_results_come_back_in_order() -> None:
    assert result("return n * n") == ["9", "16"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("while True: pass", "TimeoutError"),
        ("return open('/etc/hostname').read()", "NameError"),
        ("import os", "ImportError"),
        ("return [0] * 10 ** 10", "MemoryError"),
        ("return f(n)", "RecursionError"),
        ("return n +", "SyntaxError"),
    ],
)
def test_what_must_not_happen_is_an_error_by_name(body: str, error: str) -> None:
    assert result(body) == error


def test_unknown_kinds_of_argument_are_refused() -> None:
    with pytest.raises(ValueError, match="tree"):
        sandbox.arguments("tree")
