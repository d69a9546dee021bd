"""The vLLM engine on the course's target model: one engine for the module, but where noted."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from course_lib import profiles
from course_lib.backends import (
    Engine,
    RequestRefused,
    Sampling,
    UnsupportedSampling,
    open_engine,
)
from course_lib.backends.transformers import TransformersEngine
from course_lib.backends.vllm import EngineStillOpen, VllmEngine
from course_lib.bench import workload
from course_lib.zoo import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]  # loading is slow on busy cores

GREEDY = Sampling(max_tokens=12, ignore_eos=True)
POOL = 48 << 20


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    with VllmEngine(kv_cache_memory_bytes=POOL, block_size=32) as opened:
        yield opened


@pytest.fixture(scope="module")
def prompts(engine: VllmEngine) -> list[tuple[int, ...]]:
    work = workload.mixed(engine.tokenizer, 6, prompt_tokens=(3, 90), seed=6)
    return workload.prompts_of(work)


def test_it_keeps_the_protocol(engine: VllmEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.name == "vllm"


@pytest.mark.slow
def test_greedy_tokens_equal_those_of_transformers(engine: VllmEngine) -> None:
    streams = itertools.cycle([corpus.documents(kind) for kind in corpus.KINDS])
    documents = [next(stream) for stream in itertools.islice(streams, 64)]
    texts = [document.prompt or document.text[:80] for document in documents]
    sampling = Sampling(max_tokens=24)
    ours = engine.generate(texts, sampling)
    with TransformersEngine(batch_size=16) as reference:
        theirs = reference.generate(texts, sampling)
    different = [
        one.prompt_token_ids
        for one, other in zip(ours, theirs, strict=True)
        if (one.token_ids, one.finish_reason) != (other.token_ids, other.finish_reason)
    ]
    assert not different
    for one, other in zip(ours, theirs, strict=True):
        # vLLM keeps back bytes that never become a character; transformers marks them.
        assert one.text == other.text or "\N{REPLACEMENT CHARACTER}" in other.text
    assert [one.prompt_token_ids for one in ours] == [other.prompt_token_ids for other in theirs]


def test_the_pool_is_what_the_options_say(engine: VllmEngine) -> None:
    config = engine.llm.llm_engine.model_config.hf_config
    page = 2 * 32 * config.num_key_value_heads * config.head_dim * 4
    cache = engine.kv_cache()
    assert cache.page_size_bytes == page
    assert cache.block_size == 32
    assert cache.num_blocks == POOL // (page * config.num_hidden_layers)
    assert cache.total_bytes == cache.num_blocks * page * config.num_hidden_layers
    assert len(cache.groups) == 1
    assert len(cache.groups[0].layer_names) == config.num_hidden_layers
    assert cache.free_blocks == cache.num_blocks - 1  # vLLM keeps the null block


def test_the_load_is_accounted_for(engine: VllmEngine) -> None:
    with TransformersEngine() as reference:
        expected = sum(p.numel() * p.element_size() for p in reference.model.parameters())
    assert engine.load.weight_bytes == pytest.approx(expected, rel=0.01)
    assert engine.load.kv_cache_bytes == engine.kv_cache().total_bytes
    assert engine.load.engine_seconds > 0
    assert engine.load.rss_loaded_bytes > engine.load.rss_imported_bytes


def test_block_tables_of_live_sequences(engine: VllmEngine, prompts: list[tuple[int, ...]]) -> None:
    run = engine.run(prompts, Sampling(max_tokens=40, ignore_eos=True))
    for step in run:
        tables = run.block_tables()
        if not step.finished:
            assert len(tables) == len(prompts)
        for table in tables:
            assert len(table.block_ids) == -(-table.num_computed_tokens // 32)
            assert table.num_prompt_tokens == len(prompts[table.request])
        blocks = [block for table in tables for block in table.block_ids]
        assert 0 not in blocks
        assert engine.kv_cache().free_blocks == engine.kv_cache().num_blocks - 1 - len(set(blocks))
    assert run.block_tables() == engine.block_tables() == []


def test_steps_account_for_every_token(engine: VllmEngine, prompts: list[tuple[int, ...]]) -> None:
    engine.reset_prefix_cache()
    run = engine.run(prompts, GREEDY)
    steps = list(run)
    done = run.completions()
    for at, one in enumerate(done):
        made = itertools.chain.from_iterable(step.new_tokens.get(at, ()) for step in steps)
        assert tuple(made) == one.token_ids
        computed = sum(step.scheduled.get(at, 0) for step in steps)
        assert computed == len(one.prompt_token_ids) + len(one.token_ids) - 1
    assert [step.index for step in steps] == list(range(len(steps)))
    assert all(a.end <= b.start for a, b in itertools.pairwise(steps))
    ends = {round(step.end, 9) for step in steps}
    assert {round(time, 9) for one in done for time in one.token_times} <= ends


def test_every_token_has_its_time(engine: VllmEngine, prompts: list[tuple[int, ...]]) -> None:
    for one in engine.generate(prompts, GREEDY):
        assert len(one.token_times) == len(one.token_ids) == one.usage.completion_tokens == 12
        assert list(one.token_times) == sorted(set(one.token_times))
        assert 0 <= one.scheduled_time < one.token_times[0]


def test_requests_can_join_a_running_batch(
    engine: VllmEngine, prompts: list[tuple[int, ...]]
) -> None:
    run = engine.run(prompts[:2], GREEDY)
    for step in run:
        if step.index == 4:
            run.add(engine.requests(prompts[2:4], GREEDY))
    alone = engine.generate(prompts[:4], GREEDY)
    joined = run.completions()
    assert [one.token_ids for one in joined] == [one.token_ids for one in alone]
    assert joined[2].submitted_at > joined[0].submitted_at + joined[0].token_times[0]


def test_aborting_gives_the_blocks_back(engine: VllmEngine, prompts: list[tuple[int, ...]]) -> None:
    free = engine.kv_cache().free_blocks
    run = engine.run(prompts, Sampling(max_tokens=500, ignore_eos=True))
    for step in run:
        if step.index == 2:
            assert engine.kv_cache().free_blocks < free
            run.abort()
    assert {one.finish_reason for one in run.completions()} == {"abort"}
    assert engine.kv_cache().free_blocks == free


def test_a_stream_is_the_completion_in_pieces(
    engine: VllmEngine, prompts: list[tuple[int, ...]]
) -> None:
    whole = engine.generate(prompts[:1], GREEDY)[0]
    chunks = list(engine.stream(prompts[0], GREEDY))
    assert tuple(token for chunk in chunks for token in chunk.token_ids) == whole.token_ids
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert chunks[-1].finish_reason == "length"
    stream = engine.stream(prompts[0], GREEDY)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert engine.block_tables() == []


def test_a_shared_prefix_is_found_in_the_cache(engine: VllmEngine) -> None:
    engine.reset_prefix_cache()
    work = workload.shared_prefix(
        engine.tokenizer, 2, prefix_tokens=70, question_tokens=10, output_tokens=2
    )
    before = engine.prefix_cache()
    cold = engine.generate([work[0].prompt], work[0].sampling)[0]
    warm = engine.generate([work[1].prompt], work[1].sampling)[0]
    after = engine.prefix_cache()
    assert cold.usage.cached_tokens == 0
    assert warm.usage.cached_tokens == 64  # whole blocks of 32 only
    assert (after.queries - before.queries, after.hits - before.hits) == (160, 64)


def test_sampling_parameters_arrive(engine: VllmEngine) -> None:
    one = engine.generate(["The"], Sampling(max_tokens=6, structured={"choice": ["yes", "no"]}))[0]
    assert one.text in {"yes", "no"}
    drawn = engine.generate(["The"], Sampling(max_tokens=1, temperature=2.0, seed=1, n=20))
    assert len({sample.token_ids for sample in drawn}) > 5
    again = engine.generate(["The"], Sampling(max_tokens=1, temperature=2.0, seed=1, n=20))
    assert [sample.token_ids for sample in drawn] == [sample.token_ids for sample in again]
    top = engine.generate(["The"], Sampling(max_tokens=1, temperature=2.0, top_k=2, seed=1, n=20))
    assert len({sample.token_ids for sample in top}) <= 2
    scored = engine.generate(["The"], Sampling(max_tokens=2, logprobs=2, ignore_eos=True))[0]
    assert scored.logprobs is not None
    assert [next(iter(entry.top)) for entry in scored.logprobs] == list(scored.token_ids)


def test_a_stop_text_ends_the_output_before_it(
    engine: VllmEngine, prompts: list[tuple[int, ...]]
) -> None:
    whole = engine.generate(prompts[:1], GREEDY)[0].text
    stop = whole[4:7]
    done = engine.generate(prompts[:1], Sampling(max_tokens=12, ignore_eos=True, stop=(stop,)))[0]
    assert (done.finish_reason, done.text) == ("stop", whole[: whole.index(stop)])


def test_metrics_are_read_from_the_engine(engine: VllmEngine) -> None:
    before = engine.metrics()["vllm:generation_tokens"].value
    engine.generate(["The"], GREEDY)
    assert engine.metrics()["vllm:generation_tokens"].value == before + 12


def test_a_refused_request_leaves_none_of_its_call_behind(engine: VllmEngine) -> None:
    free = engine.kv_cache().free_blocks
    with pytest.raises(RequestRefused, match="2000"):
        engine.generate(["a", [5] * 2000], GREEDY)
    with pytest.raises(RequestRefused, match="temperature"):
        engine.generate(["a", "b"], [GREEDY, Sampling(temperature=5.0)])
    assert len(engine.generate(["a"], GREEDY)) == 1
    assert engine.kv_cache().free_blocks == free
    assert engine.llm.llm_engine.get_num_unfinished_requests() == 0


def test_what_it_cannot_do_is_refused(engine: VllmEngine) -> None:
    with pytest.raises(UnsupportedSampling, match="n must be 1"):
        engine.stream("a", Sampling(n=2, temperature=1.0))


def test_a_second_engine_waits_for_the_first_to_close(engine: VllmEngine) -> None:
    with pytest.raises(EngineStillOpen, match=r"close\(\)"):
        open_engine("vllm")
    assert len(engine.generate(["a"], GREEDY)) == 1


@pytest.mark.slow
def test_engines_one_after_the_other_in_silence() -> None:
    code = (
        "from course_lib.backends import Sampling, open_engine\n"
        "from course_lib.backends import UnknownOption\n"
        "for wrong, error in (({'batch_size': 4}, UnknownOption), ({'dtype': 'x'}, ValueError)):\n"
        "    try:\n"
        "        open_engine('vllm', **wrong)\n"
        "    except error:\n"
        "        pass\n"
        "for size in (32, 64):\n"
        "    with open_engine('vllm', block_size=size, kv_cache_memory_bytes=16 << 20) as engine:\n"
        "        engine.generate(['a'], Sampling(max_tokens=3, temperature=0.8, logprobs=1))\n"
        "        assert engine.kv_cache().block_size == size\n"
        "        assert engine.prefix_cache().queries == len(engine.tokenizer('a').input_ids)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_profile_chooses_the_model(engine: VllmEngine) -> None:
    assert engine.llm.llm_engine.model_config.model == profiles.current().model
