"""Workloads have the lengths that were asked for, and are the same for a seed."""

from __future__ import annotations

from course_lib.bench import workload


class Letters:
    """A tokenizer with one token per character."""

    def __call__(self, written: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(letter) for letter in written]}


def test_mixed_lengths_stay_within_their_ranges() -> None:
    work = workload.mixed(Letters(), 20, prompt_tokens=(5, 9), output_tokens=(2, 4), seed=1)
    assert len(work) == 20
    assert {len(item.prompt) for item in work} <= set(range(5, 10))
    assert {item.sampling.max_tokens for item in work} <= {2, 3, 4}
    assert len({len(item.prompt) for item in work}) > 1
    assert all(item.sampling.ignore_eos for item in work)


def test_the_seed_decides_everything() -> None:
    assert workload.mixed(Letters(), 6, seed=1) == workload.mixed(Letters(), 6, seed=1)
    assert workload.mixed(Letters(), 6, seed=1) != workload.mixed(Letters(), 6, seed=2)


def test_a_shared_prefix_is_shared_and_the_questions_differ() -> None:
    work = workload.shared_prefix(
        Letters(), 5, prefix_tokens=40, question_tokens=30, output_tokens=4
    )
    assert len({item.prompt[:40] for item in work}) == 1
    assert len({item.prompt for item in work}) == 5
    assert {len(item.prompt) for item in work} == {70}


def test_prompts_and_samplings_keep_their_order() -> None:
    work = workload.mixed(Letters(), 3)
    assert workload.prompts_of(work) == [item.prompt for item in work]
    assert workload.samplings_of(work) == [item.sampling for item in work]
