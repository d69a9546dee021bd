"""Text to tokens and back, the same way in every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.backends.protocol import Prompt

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def encode(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt; ids pass through unchanged.

    Raises:
        ValueError: if the prompt has no tokens.
    """
    ids = tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else list(prompt)
    if not ids:
        raise ValueError("a prompt needs at least one token")
    return [int(token) for token in ids]


def cut_at_stop(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """``text`` up to the earliest stop text, and whether there was one."""
    ends = [at for at in (text.find(word) for word in stop) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


class TextStream:
    """Turns a growing list of tokens into pieces of text.

    A piece is held back while it ends inside a character, or in what could be the beginning
    of a stop text.
    """

    def __init__(self, tokenizer: Any, stop: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._sent = 0

    def push(self, token_ids: list[int], *, last: bool) -> str:
        """New text of the output ``token_ids``, all of them so far; all of it if ``last``."""
        text = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        text, stopped = cut_at_stop(text, self._stop)
        if not (last or stopped):
            if text.endswith(REPLACEMENT):
                return ""
            held = max(
                (
                    size
                    for word in self._stop
                    for size in range(1, len(word))
                    if text.endswith(word[:size])
                ),
                default=0,
            )
            text = text[: len(text) - held]
        piece = text[self._sent :]
        self._sent = max(self._sent, len(text))
        return piece
