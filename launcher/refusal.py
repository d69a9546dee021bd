"""What the launcher raises when it cannot go on."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  (a refusal is no program error)
    """The launcher cannot go on. The text is one sentence that holds the cure; exit status 2."""
