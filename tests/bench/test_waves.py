"""Waves, with an engine that finishes each run at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from course_lib.backends import Completion, Sampling, Usage
from course_lib.backends.vllm import VllmEngine
from course_lib.bench.waves import in_waves


class Run:
    """As many steps as its longest reply, one second each."""

    def __init__(self, begin: float, lengths: list[int]) -> None:
        self.begin = begin
        self.lengths = lengths

    def __iter__(self) -> Iterator[int]:
        return iter(range(max(self.lengths)))

    def completions(self) -> list[Completion]:
        return [
            Completion(
                prompt_token_ids=(1,),
                token_ids=(2,) * length,
                text="",
                token_times=tuple(float(at) for at in range(1, length + 1)),
                finish_reason="length",
                usage=Usage(1, length),
                submitted_at=self.begin,
            )
            for length in self.lengths
        ]


class Engine:
    def __init__(self) -> None:
        self.now = 100.0

    def run(self, prompts: Sequence[Any], samplings: Sequence[Sampling]) -> Run:
        assert len(prompts) == len(samplings)
        run = Run(self.now, [sampling.max_tokens for sampling in samplings])
        self.now += max(run.lengths)
        return run


def served(size: int) -> tuple[int, list[Completion]]:
    lengths = [3, 1, 2, 5, 1]
    samplings = [Sampling(max_tokens=length) for length in lengths]
    engine = cast("VllmEngine", Engine())
    steps, done = in_waves(engine, ["a", "b", "c", "d", "e"], samplings, size)
    return len(steps), done


def test_each_wave_lasts_as_long_as_its_longest() -> None:
    assert served(2)[0] == 3 + 5 + 1
    assert served(5)[0] == 5


def test_the_wait_for_earlier_waves_counts() -> None:
    done = served(2)[1]
    assert [one.submitted_at for one in done] == [100.0] * 5
    assert [one.scheduled_time for one in done] == [0, 0, 3, 3, 8]
    assert [one.token_times[0] for one in done] == [1, 1, 4, 4, 9]
    assert [one.usage.completion_tokens for one in done] == [3, 1, 2, 5, 1]
