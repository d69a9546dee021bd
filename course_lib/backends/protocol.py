"""What every engine takes and gives: the words shared by all adapters.

Prompts and sampling parameters go in; tokens, texts, a time stamp for each token, the reason
for finishing and the usage come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from types import TracebackType

Prompt = str | Sequence[int]
FinishReason = Literal["stop", "length", "abort"]


class RequestRefused(ValueError):
    """An engine will not take a request, for example because the prompt is too long."""


class UnsupportedSampling(RequestRefused):
    """An engine was asked for a sampling parameter that it does not have."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen and when to stop. The default is greedy decoding.

    Attributes:
        max_tokens: most tokens to generate, at least 1.
        temperature: divides the logits before softmax; 0 is greedy.
        top_k: keep the k most likely tokens; 0 is off.
        top_p: keep the smallest set of tokens with at least this probability; 1 is off.
        min_p: keep tokens at least this fraction as likely as the likeliest; 0 is off.
        presence_penalty: subtracted from the logit of each token already generated.
        frequency_penalty: subtracted once per time that the token was generated.
        repetition_penalty: divides (multiplies, if negative) logits of tokens seen in prompt
            or output; 1 is off (Keskar et al. 2019, section 4.1).
        seed: makes one request's random choices repeatable.
        stop: texts that end the output; they are not part of it.
        n: samples per prompt.
        logprobs: how many of the likeliest tokens to report per position; None is off.
        ignore_eos: go on after the end-of-sequence token, for runs of fixed length.
        structured: a constraint on the output, one of {"json": schema}, {"regex": pattern},
            {"choice": [texts]}, {"grammar": EBNF}.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    logprobs: int | None = None
    ignore_eos: bool = False
    structured: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        rules = {
            "max_tokens must be at least 1": self.max_tokens >= 1,
            "temperature must not be negative": self.temperature >= 0,
            "top_k must not be negative (0 is off)": self.top_k >= 0,
            "top_p must be in (0, 1]": 0 < self.top_p <= 1,
            "min_p must be in [0, 1]": 0 <= self.min_p <= 1,
            "repetition_penalty must be positive (1 is off)": self.repetition_penalty > 0,
            "n must be at least 1": self.n >= 1,
            "n > 1 needs temperature > 0, or all samples are equal": self.n == 1
            or self.temperature > 0,
            "logprobs must not be negative (None is off)": (self.logprobs or 0) >= 0,
            "stop must be a tuple of texts, not one text": not isinstance(self.stop, str),
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ValueError("; ".join(broken))


@dataclass(frozen=True)
class Usage:
    """Token counts of one request.

    Attributes:
        prompt_tokens: length of the prompt.
        completion_tokens: tokens generated.
        cached_tokens: prompt tokens whose KV was found in a prefix cache.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True)
class TokenLogprobs:
    """Log-probabilities (natural logarithm) at one position of the output.

    Attributes:
        chosen: that of the token taken.
        top: token id to log-probability of the likeliest tokens, likeliest first.
    """

    chosen: float
    top: Mapping[int, float]


@dataclass(frozen=True)
class Completion:
    """One finished output.

    Attributes:
        prompt_token_ids: the prompt, as the engine saw it.
        token_ids: tokens generated; the end-of-sequence token included where it was generated.
        text: their text, special tokens and stop texts left out.
        token_times: for each token, seconds from submission until it existed.
        finish_reason: "stop" (end of sequence or stop text), "length", or "abort".
        usage: token counts.
        submitted_at: when the request was submitted, seconds on ``time.perf_counter``'s clock.
        scheduled_time: seconds from submission until the engine began to work on it.
        prompt_index: position of the prompt in the call.
        sample_index: which of the ``n`` samples of that prompt this is.
        logprobs: one entry per token, if asked for.
    """

    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    text: str
    token_times: tuple[float, ...]
    finish_reason: FinishReason
    usage: Usage
    submitted_at: float = 0.0
    scheduled_time: float = 0.0
    prompt_index: int = 0
    sample_index: int = 0
    logprobs: tuple[TokenLogprobs, ...] | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of a streamed output.

    Attributes:
        text: text that this piece adds; may be empty while a character is incomplete.
        token_ids: tokens that it adds.
        time: seconds from submission until they existed.
        finish_reason: None until the last chunk.
        usage: counts of the whole request, on the last chunk only.
    """

    text: str
    token_ids: tuple[int, ...]
    time: float
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@runtime_checkable
class Engine(Protocol):
    """An inference engine that holds one model. Use it in a ``with`` block."""

    @property
    def name(self) -> str:
        """Name under which the engine is registered, such as "vllm"."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling | Sequence[Sampling]
    ) -> list[Completion]:
        """Complete all prompts; return prompt after prompt, and for each its ``n`` samples.

        Raises:
            RequestRefused: before any work, if a prompt is too long, or (as
                ``UnsupportedSampling``) if a parameter is not supported.
        """
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[Chunk]:
        """Complete one prompt and yield its tokens as they come. Closing it aborts."""
        ...

    def close(self) -> None:
        """Free the model and its memory. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def sampling_per_prompt(
    prompts: Sequence[Prompt], sampling: Sampling | Sequence[Sampling]
) -> list[Sampling]:
    """One ``Sampling`` for each prompt.

    Raises:
        TypeError: if ``prompts`` is one text instead of a list of them.
        ValueError: if there are as many samplings as prompts neither.
    """
    if isinstance(prompts, str):
        raise TypeError("prompts is one text: pass a list, [prompt]")
    if isinstance(sampling, Sampling):
        return [sampling] * len(prompts)
    if len(sampling) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts but {len(sampling)} samplings: give one each")
    return list(sampling)
