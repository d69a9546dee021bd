"""The families of functions that `code` draws from, each a composition of small choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


@dataclass(frozen=True)
class Function:
    """A function as text: ``body`` lines are unindented, ``argument`` names the type of its
    parameter.
    """

    name: str
    parameter: str
    argument: str
    docstring: str
    body: tuple[str, ...]


#: plural parameter -> loop variable
_LISTS = {
    "values": "value",
    "numbers": "number",
    "scores": "score",
    "prices": "price",
    "sizes": "size",
}
_TEXTS = ("text", "line", "sentence", "message")


def _adjective(rng: random.Random) -> tuple[str, str, str]:
    """(name part, adjective, condition on ``x``); the empty choice keeps everything."""
    return rng.choice(
        (
            ("even", "even ", "{x} % 2 == 0"),
            ("odd", "odd ", "{x} % 2 == 1"),
            ("positive", "positive ", "{x} > 0"),
            ("negative", "negative ", "{x} < 0"),
            ("", "", ""),
        )
    )


def _clause(rng: random.Random) -> tuple[str, str, str]:
    """(name part, relative clause, condition on ``x``)."""
    k, low = rng.randint(2, 20), rng.randint(1, 9)
    return rng.choice(
        (
            ("above", f" that are greater than {k}", f"{{x}} > {k}"),
            ("below", f" that are less than {k}", f"{{x}} < {k}"),
            ("divisible", f" that are divisible by {low + 2}", f"{{x}} % {low + 2} == 0"),
            ("between", f" that lie between {low} and {low + k}", f"{low} <= {{x}} <= {low + k}"),
            ("not", f" that are not equal to {k}", f"{{x}} != {k}"),
            ("", "", ""),
        )
    )


_TRANSFORMS = (
    ("", "", "{x}"),
    ("", "", "{x}"),
    ("squares", "the squares of ", "{x} * {x}"),
    ("cubes", "the cubes of ", "{x} ** 3"),
    ("doubles", "the doubles of ", "2 * {x}"),
    ("absolute", "the absolute values of ", "abs({x})"),
    ("halves", "the halves of ", "{x} // 2"),
)
#: name, phrase, start value, update (``e`` is the transformed element, ``t`` the accumulator)
_FOLDS = (
    ("sum", "the sum of ", "total", "0", "total += {e}"),
    ("product", "the product of ", "result", "1", "result *= {e}"),
    ("list", "a list of ", "found", "[]", "found.append({e})"),
)


@dataclass(frozen=True)
class _Filter:
    """Up to two conditions: as an adjective, as a relative clause, and as a test on the variable
    ``x``.
    """

    name: str
    adjective: str
    clause: str
    test: str

    def on(self, x: str) -> str:
        return self.test.format(x=x)


def _filter(rng: random.Random, *, required: bool = True) -> _Filter:
    while True:
        (a_name, adjective, a_test), (c_name, clause, c_test) = _adjective(rng), _clause(rng)
        tests = [test for test in (a_test, c_test) if test]
        if tests or not required:
            return _Filter(_name(a_name, c_name), adjective, clause, " and ".join(tests))


def _name(*parts: str) -> str:
    return "_".join(part for part in parts if part)


def fold_list(rng: random.Random) -> Function:
    """Sum, product or list of transformed elements that pass up to two conditions."""
    plural, x = rng.choice(tuple(_LISTS.items()))
    kept = _filter(rng, required=False)
    t_name, phrase, expression = rng.choice(_TRANSFORMS)
    f_name, fold, variable, start, update = rng.choice(_FOLDS)
    line = update.format(e=expression.format(x=x))
    condition = kept.on(x)
    inner = (f"    if {condition}:", f"        {line}") if condition else (f"    {line}",)
    body = (f"{variable} = {start}", f"for {x} in {plural}:", *inner, f"return {variable}")
    docstring = f"Return {fold}{phrase}the {kept.adjective}numbers in {plural}{kept.clause}."
    return Function(_name(f_name, t_name, kept.name), plural, "list", docstring, body)


def count_list(rng: random.Random) -> Function:
    """How many elements pass the conditions."""
    plural, x = rng.choice(tuple(_LISTS.items()))
    kept = _filter(rng)
    condition = kept.on(x)
    body = (
        "count = 0",
        f"for {x} in {plural}:",
        f"    if {condition}:",
        "        count += 1",
        "return count",
    )
    docstring = f"Return how many {kept.adjective}numbers there are in {plural}{kept.clause}."
    return Function(_name("count", kept.name), plural, "list", docstring, body)


def extreme_list(rng: random.Random) -> Function:
    """Largest or smallest element that passes the conditions, None if there is none."""
    plural, x = rng.choice(tuple(_LISTS.items()))
    kept = _filter(rng, required=False)
    word, sign = rng.choice((("largest", ">"), ("smallest", "<")))
    condition = kept.on(x)
    update = (f"if best is None or {x} {sign} best:", f"    best = {x}")
    inner = (
        (f"    if {condition}:", *(f"        {u}" for u in update))
        if condition
        else tuple(f"    {u}" for u in update)
    )
    body = ("best = None", f"for {x} in {plural}:", *inner, "return best")
    docstring = f"Return the {word} of the {kept.adjective}numbers in {plural}{kept.clause}, or None if there are none."
    return Function(_name(word, kept.name), plural, "list", docstring, body)


_WORD_TRANSFORMS = (
    ("", "the words", "word"),
    ("upper", "in upper case the words", "word.upper()"),
    ("reversed", "reversed the words", "word[::-1]"),
    ("lengths", "the lengths of the words", "len(word)"),
    ("initials", "the first letters of the words", "word[0]"),
)


def _word_clause(rng: random.Random) -> tuple[str, str, str]:
    letter, k = rng.choice("abcdefghilmnoprstw"), rng.randint(2, 7)
    return rng.choice(
        (
            ("starting", f" that start with '{letter}'", f"word.startswith('{letter}')"),
            ("ending", f" that end with '{letter}'", f"word.endswith('{letter}')"),
            ("with", f" that contain '{letter}'", f"'{letter}' in word"),
            ("without", f" that do not contain '{letter}'", f"'{letter}' not in word"),
            ("longer", f" that have more than {k} letters", f"len(word) > {k}"),
            ("shorter", f" that have fewer than {k} letters", f"len(word) < {k}"),
        )
    )


def list_words(rng: random.Random) -> Function:
    """The words of a text that pass one or two conditions, transformed, as a list or joined."""
    text = rng.choice(_TEXTS)
    t_name, phrase, expression = rng.choice(_WORD_TRANSFORMS)
    c_name, clause, test = _word_clause(rng)
    if rng.random() < 0.4:
        d_name, second, other = _word_clause(rng)
        c_name, clause, test = (
            _name(c_name, d_name),
            clause + " and" + second,
            f"{test} and {other}",
        )
    head = (
        "found = []",
        f"for word in {text}.split():",
        f"    if {test}:",
        f"        found.append({expression})",
    )
    if t_name == "lengths" or rng.random() < 0.5:
        return Function(
            _name("list_words", t_name, c_name),
            text,
            "text",
            f"List {phrase} of {text}{clause}.",
            (*head, "return found"),
        )
    mark = rng.choice("-_+/*")
    docstring = f"Join with '{mark}' {phrase} of {text}{clause}."
    body = (*head, f"return '{mark}'.join(found)")
    return Function(_name("join_words", t_name, c_name), text, "text", docstring, body)


def count_words(rng: random.Random) -> Function:
    """A dictionary from each word, or its first letter, to how often it occurs."""
    text = rng.choice(_TEXTS)
    c_name, clause, test = _word_clause(rng)
    key_name, what, key = rng.choice(
        (("words", "each word", "word"), ("initials", "each first letter", "word[0]"))
    )
    body = (
        "counts = {}",
        f"for word in {text}.split():",
        f"    if {test}:",
        f"        counts[{key}] = counts.get({key}, 0) + 1",
        "return counts",
    )
    docstring = f"Count how often {what} occurs among the words of {text}{clause}."
    return Function(_name("count", key_name, c_name), text, "text", docstring, body)


def _branch_test(rng: random.Random) -> tuple[str, str]:
    k, m = rng.randint(2, 40), rng.randint(3, 9)
    return rng.choice(
        (
            ("n is even", "n % 2 == 0"),
            ("n is odd", "n % 2 == 1"),
            (f"n is greater than {k}", f"n > {k}"),
            (f"n is less than {k}", f"n < {k}"),
            (f"n is divisible by {m}", f"n % {m} == 0"),
        )
    )


def _value(rng: random.Random) -> tuple[str, str]:
    k, m = rng.randint(2, 9), rng.randint(2, 30)
    return rng.choice(
        (
            (f"n plus {m}", f"n + {m}"),
            (f"n minus {m}", f"n - {m}"),
            (f"n times {k}", f"n * {k}"),
            (f"n times {k} plus {m}", f"n * {k} + {m}"),
            (f"n times {k} minus {m}", f"n * {k} - {m}"),
            ("the square of n", "n * n"),
            (f"{m}", f"{m}"),
        )
    )


def branches(rng: random.Random) -> Function:
    """Two or three cases of one number, the second sometimes nested in the first."""
    (t1, c1), (t2, c2) = _branch_test(rng), _branch_test(rng)
    (p1, v1), (p2, v2), (p3, v3) = _value(rng), _value(rng), _value(rng)
    shape = rng.choice(("two", "chain", "nested"))
    if shape == "two":
        docstring = f"If {t1}, return {p1}, otherwise {p2}."
        body: tuple[str, ...] = (f"if {c1}:", f"    return {v1}", f"return {v2}")
    elif shape == "chain":
        docstring = f"If {t1}, return {p1}, else if {t2}, return {p2}, otherwise {p3}."
        body = (f"if {c1}:", f"    return {v1}", f"if {c2}:", f"    return {v2}", f"return {v3}")
    else:
        docstring = f"If {t1}, then if {t2}, return {p1}, otherwise {p2}. If not, return {p3}."
        body = (
            f"if {c1}:",
            f"    if {c2}:",
            f"        return {v1}",
            f"    return {v2}",
            f"return {v3}",
        )
    return Function(f"choose_{shape}", "n", "number", docstring, body)


def grid(rng: random.Random) -> Function:
    """A nested loop: a fold over each row of a grid, folded again over the rows."""
    kept = _filter(rng)
    condition = kept.on("cell")
    inner_name, inner, update = rng.choice(
        (("sum", "sum", "total += cell"), ("count", "number", "total += 1"))
    )
    head = ("totals = []", "for row in grid:", "    total = 0", "    for cell in row:")
    loop = (*head, f"        if {condition}:", f"            {update}", "    totals.append(total)")
    outer_name, outer, last = rng.choice(
        (
            ("each", "for each row of grid", "return totals"),
            ("largest", "for the row of grid where it is largest", "return max(totals)"),
            ("smallest", "for the row of grid where it is smallest", "return min(totals)"),
        )
    )
    docstring = f"Return the {inner} of the {kept.adjective}cells{kept.clause}, {outer}."
    name = _name("row", inner_name, outer_name, kept.name)
    return Function(name, "grid", "grid", docstring, (*loop, last))


def numbers_upto(rng: random.Random) -> Function:
    """Numbers from a start up to n that pass the conditions, as a list or a sum."""
    start = rng.randint(0, 9)
    kept = _filter(rng)
    condition = kept.on("i")
    f_name, fold, variable, first, update = rng.choice(_FOLDS)
    body = (
        f"{variable} = {first}",
        f"for i in range({start}, n + 1):",
        f"    if {condition}:",
        f"        {update.format(e='i')}",
        f"return {variable}",
    )
    docstring = f"Return {fold}the {kept.adjective}numbers from {start} to n{kept.clause}."
    return Function(_name(f_name, "upto", kept.name), "n", "number", docstring, body)


def table(rng: random.Random) -> Function:
    """Keys or values of a dictionary whose value passes a condition."""
    kept = _filter(rng)
    condition = kept.on("value")
    part, what = rng.choice((("keys", "key"), ("values", "value")))
    body = (
        f"{part} = []",
        "for key, value in table.items():",
        f"    if {condition}:",
        f"        {part}.append({what})",
        f"return sorted({part})",
    )
    docstring = f"Return in order the {part} of table for which the values are {kept.adjective}numbers{kept.clause}."
    return Function(_name("table", part, kept.name), "table", "table", docstring, body)


def digits(rng: random.Random) -> Function:
    """A while loop that takes a number apart, digit by digit or by repeated division."""
    if rng.random() < 0.5:
        k, stop = rng.randint(2, 9), rng.randint(1, 30)
        docstring = f"Return how many times n can be divided by {k} before it is less than {stop}."
        body: tuple[str, ...] = (
            "steps = 0",
            f"while n >= {stop}:",
            f"    n = n // {k}",
            "    steps += 1",
            "return steps",
        )
        return Function("count_divisions", "n", "number", docstring, body)
    k = rng.randint(1, 8)
    test, condition = rng.choice(
        (
            (f"greater than {k}", f"digit > {k}"),
            (f"less than {k}", f"digit < {k}"),
            ("even", "digit % 2 == 0"),
            ("odd", "digit % 2 == 1"),
        )
    )
    name, what, update = rng.choice(
        (("sum", "the sum of", "total += digit"), ("count", "the number of", "total += 1"))
    )
    loop = ("total = 0", "while n > 0:", "    digit = n % 10", f"    if {condition}:")
    body = (*loop, f"        {update}", "    n = n // 10", "return total")
    return Function(
        f"{name}_digits", "n", "number", f"Return {what} the digits of n that are {test}.", body
    )


FAMILIES: tuple[Callable[[random.Random], Function], ...] = (
    fold_list,
    fold_list,
    count_list,
    extreme_list,
    list_words,
    list_words,
    count_words,
    branches,
    branches,
    grid,
    numbers_upto,
    table,
    digits,
)
