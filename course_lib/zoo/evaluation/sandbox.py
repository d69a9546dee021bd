"""Run functions that a model wrote, in a child process with few builtins, little memory and
little time.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

_BUILTINS = [
    "abs",
    "all",
    "any",
    "dict",
    "enumerate",
    "float",
    "int",
    "len",
    "list",
    "max",
    "min",
    "range",
    "reversed",
    "set",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
]
_RUNNER = """
import builtins, json, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
allowed = {name: getattr(builtins, name) for name in json.loads(sys.argv[1])}
def give_up(*_): raise TimeoutError
signal.signal(signal.SIGALRM, give_up)
results = []
for case in json.load(sys.stdin):
    scope = {"__builtins__": allowed}
    try:
        exec(compile(case["source"], "model", "exec"), scope)
        values = []
        for argument in case["arguments"]:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            values.append(repr(scope[case["name"]](argument)))
            signal.setitimer(signal.ITIMER_REAL, 0)
        results.append(values)
    except BaseException as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        results.append(type(error).__name__)
json.dump(results, sys.stdout)
"""


@dataclass(frozen=True)
class Case:
    """One function as source, its name, and the arguments to call it with."""

    source: str
    name: str
    arguments: list[Any]


def run(cases: list[Case], timeout: float = 120.0) -> list[list[str] | str]:
    """For each case the ``repr`` of every result, or the name of the exception that ended it.

    Raises:
        subprocess.TimeoutExpired: if all cases together take longer than ``timeout`` seconds.
    """
    payload = json.dumps([case.__dict__ for case in cases])
    command = [sys.executable, "-I", "-c", _RUNNER, json.dumps(_BUILTINS)]
    done = subprocess.run(
        command, input=payload, capture_output=True, text=True, timeout=timeout, check=True
    )
    results: list[list[str] | str] = json.loads(done.stdout)
    return results


def arguments(kind: str, seed: int = 0) -> list[Any]:
    """Twelve arguments of one kind (list, text, number, grid, table), edge cases among them."""
    rng = random.Random(f"{kind}/{seed}")
    if kind == "list":
        return [
            [],
            [0],
            *([rng.randint(-30, 40) for _ in range(rng.randint(1, 12))] for _ in range(10)),
        ]
    if kind == "text":
        letters = "aabcdeefghiilmnooprstuw"
        sizes = [[rng.randint(1, 9) for _ in range(rng.randint(1, 14))] for _ in range(11)]
        return ["", *(" ".join("".join(rng.choices(letters, k=n)) for n in row) for row in sizes)]
    if kind == "number":
        return [0, 1, 2, 7, *(rng.randint(3, 200) for _ in range(8))]
    if kind == "grid":
        return [
            [
                [rng.randint(-20, 40) for _ in range(rng.randint(1, 5))]
                for _ in range(rng.randint(1, 4))
            ]
            for _ in range(12)
        ]
    if kind == "table":
        return [
            {f"k{rng.randint(0, 99)}": rng.randint(-20, 40) for _ in range(rng.randint(0, 8))}
            for _ in range(12)
        ]
    raise ValueError(f"no arguments of kind {kind!r}; known are list, text, number, grid, table")
