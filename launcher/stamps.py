"""What set-up has finished, so that a second call need not look again.

Stamps lie inside the environment that they speak about: remove `.venv`, and they are gone too.
A stamp is written after its step, never before, so that an interrupted step is done again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def digest(files: Iterable[Path], *words: str) -> str:
    """A key for the contents of `files` together with `words`."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


class Stamps:
    """A small file of step names and keys."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def holds(self, step: str, key: str) -> bool:
        """Whether `step` was finished with this `key`."""
        return self._read().get(step) == key

    def write(self, step: str, key: str) -> None:
        """Remember that `step` is finished; the file is replaced whole or not at all."""
        content = {**self._read(), step: key}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=1))
        fresh.replace(self._path)
