"""The transformers engine on the course's target model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from course_lib.backends import (
    Engine,
    RequestRefused,
    Sampling,
    UnknownOption,
    UnsupportedSampling,
    open_engine,
)
from course_lib.backends.transformers import TransformersEngine
from course_lib.bench import workload

if TYPE_CHECKING:
    from collections.abc import Iterator

GREEDY = Sampling(max_tokens=12, ignore_eos=True)
RANDOM = Sampling(max_tokens=8, temperature=1.0, seed=7, ignore_eos=True)


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    with TransformersEngine() as opened:
        yield opened


@pytest.fixture(scope="module")
def prompts(engine: TransformersEngine) -> list[tuple[int, ...]]:
    work = workload.mixed(engine.tokenizer, 5, prompt_tokens=(3, 40), seed=5)
    return workload.prompts_of(work)


def test_it_keeps_the_protocol(engine: TransformersEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.name == "transformers"


def test_a_batch_gives_the_tokens_of_one_by_one(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    together = engine.generate(prompts, GREEDY)
    with TransformersEngine(batch_size=1) as single:
        alone = single.generate(prompts, GREEDY)
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    assert [one.prompt_token_ids for one in together] == prompts
    waits = [one.scheduled_time for one in alone]
    assert waits == sorted(waits)
    assert waits[-1] > alone[0].token_times[-1]


def test_without_a_kv_cache_the_tokens_are_the_same(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    with TransformersEngine(kv_cache=False) as uncached:
        slow = uncached.generate(prompts, GREEDY)
    assert [one.token_ids for one in slow] == [
        one.token_ids for one in engine.generate(prompts, GREEDY)
    ]


def test_every_token_has_its_time_and_its_row_its_length(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    lengths = [1, 3, 5, 2, 4]
    samplings = [Sampling(max_tokens=length, ignore_eos=True) for length in lengths]
    done = engine.generate(prompts, samplings)
    assert [len(one.token_ids) for one in done] == lengths
    for one in done:
        assert len(one.token_times) == len(one.token_ids) == one.usage.completion_tokens
        assert list(one.token_times) == sorted(one.token_times)
        assert 0 <= one.scheduled_time < one.token_times[0]
        assert one.finish_reason == "length"


def test_a_stream_is_the_completion_in_pieces(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    whole = engine.generate(prompts[:1], GREEDY)[0]
    chunks = list(engine.stream(prompts[0], GREEDY))
    assert tuple(token for chunk in chunks for token in chunk.token_ids) == whole.token_ids
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage == whole.usage


def test_closing_a_stream_stops_the_work(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    stream = engine.stream(prompts[0], Sampling(max_tokens=500, ignore_eos=True))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert engine.generate(prompts[:1], GREEDY)[0].finish_reason == "length"


def test_a_stop_text_ends_the_output_before_it(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    whole = engine.generate(prompts[:1], GREEDY)[0].text
    stop = whole[4:7]
    done = engine.generate(prompts[:1], Sampling(max_tokens=12, ignore_eos=True, stop=(stop,)))[0]
    assert done.finish_reason == "stop"
    assert done.text == whole[: whole.index(stop)]


def test_the_end_of_sequence_token_ends_the_output(engine: TransformersEngine) -> None:
    eos = engine.tokenizer.eos_token
    ends = frozenset(range(len(engine.tokenizer)))
    saved, engine._eos_ids = engine._eos_ids, ends
    try:
        done = engine.generate(["a"], Sampling(max_tokens=5))[0]
    finally:
        engine._eos_ids = saved
    assert eos is not None
    assert (done.finish_reason, len(done.token_ids)) == ("stop", 1)


def test_a_seed_repeats_and_samples_differ(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    sampling = Sampling(max_tokens=8, temperature=1.5, seed=7, n=3, ignore_eos=True)
    first = engine.generate(prompts[:1], sampling)
    assert [one.token_ids for one in first] == [
        one.token_ids for one in engine.generate(prompts[:1], sampling)
    ]
    assert len({one.token_ids for one in first}) > 1
    assert [one.sample_index for one in first] == [0, 1, 2]


def test_logprobs_of_greedy_tokens_are_the_greatest(
    engine: TransformersEngine, prompts: list[tuple[int, ...]]
) -> None:
    done = engine.generate(prompts[:2], Sampling(max_tokens=4, logprobs=3, ignore_eos=True))[0]
    assert done.logprobs is not None
    assert len(done.logprobs) == 4
    for token, entry in zip(done.token_ids, done.logprobs, strict=True):
        assert next(iter(entry.top)) == token
        assert entry.chosen == max(entry.top.values()) <= 0


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(presence_penalty=0.5),
        Sampling(frequency_penalty=0.5),
        Sampling(structured={"regex": "a"}),
    ],
)
def test_what_it_cannot_do_is_refused(engine: TransformersEngine, sampling: Sampling) -> None:
    with pytest.raises(UnsupportedSampling, match="'vllm'"):
        engine.generate(["a"], sampling)


def test_rows_of_a_batch_cannot_choose_tokens_differently(engine: TransformersEngine) -> None:
    with pytest.raises(UnsupportedSampling, match="batch_size=1"):
        engine.generate(["a", "b"], [GREEDY, RANDOM])
    with TransformersEngine(batch_size=1) as single:
        assert len(single.generate(["a", "b"], [GREEDY, RANDOM])) == 2


def test_the_context_bounds_prompt_and_output(engine: TransformersEngine) -> None:
    limit = engine.max_model_len
    with pytest.raises(RequestRefused, match=f"{limit} tokens"):
        engine.generate([[5] * limit], GREEDY)
    done = engine.generate([[5] * (limit - 3)], GREEDY)[0]
    assert (len(done.token_ids), done.finish_reason) == (3, "length")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UnknownOption, match=r"block_size.*batch_size"):
        open_engine("transformers", block_size=16)


def test_nothing_in_nothing_out(engine: TransformersEngine) -> None:
    assert engine.generate([], GREEDY) == []


def test_ignore_eos_goes_on_after_an_answer_that_ends(engine: TransformersEngine) -> None:
    # The model's own settings name its end tokens; `generate` must not fall back on them.
    assert engine.model.generation_config.eos_token_id is None
    chat = "<|user|>Which river runs through Walgaham?<|end_of_turn|><|assistant|>"
    (done,) = engine.generate([chat], Sampling(max_tokens=24, ignore_eos=True))
    assert len(done.token_ids) == 24
    assert done.finish_reason == "length"
