"""What the launcher raises when it cannot go on."""

from __future__ import annotations


class Refusal(Exception):
    """The launcher cannot go on. The text is one sentence that holds the cure; exit status 2."""
