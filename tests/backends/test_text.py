"""Streamed text adds up to the whole text, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.backends import text


class Bytes:
    """A tokenizer whose tokens are bytes, so that most characters take several tokens."""

    def __call__(self, written: str) -> dict[str, list[int]]:
        return {"input_ids": list(written.encode())}

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return bytes(token_ids).decode(errors="replace")


def streamed(written: str, stop: tuple[str, ...]) -> tuple[str, str]:
    """What was sent, and what had been generated when the stream ended."""
    stream = text.TextStream(Bytes(), stop)
    tokens = list(written.encode())
    pieces: list[str] = []
    so_far = ""
    for count in range(1, len(tokens) + 1):
        pieces.append(stream.push(tokens[:count], last=count == len(tokens)))
        so_far = bytes(tokens[:count]).decode(errors="replace")
        if text.cut_at_stop(so_far, stop)[1]:
            break
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
    return "".join(pieces), so_far


@given(st.text(alphabet="ab€漢\n", max_size=20))
def test_pieces_add_up_to_the_text(written: str) -> None:
    assert streamed(written, ())[0] == written


@given(st.text(alphabet="abc", max_size=20), st.sampled_from([("ab",), ("abc", "b"), ("cc",)]))
def test_no_part_of_a_stop_text_is_ever_sent(written: str, stop: tuple[str, ...]) -> None:
    sent, generated = streamed(written, stop)
    assert sent == text.cut_at_stop(generated, stop)[0]


def test_the_earliest_stop_text_counts() -> None:
    assert text.cut_at_stop("one two three", ("three", "two")) == ("one ", True)
    assert text.cut_at_stop("one", ("two",)) == ("one", False)


def test_prompts_become_token_ids() -> None:
    assert text.encode(Bytes(), "ab") == [97, 98]
    assert text.encode(Bytes(), (7, 8)) == [7, 8]
    with pytest.raises(ValueError, match="at least one token"):
        text.encode(Bytes(), "")
