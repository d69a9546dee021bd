"""The course models: their corpus, tokenizer, training, evaluation and weights.

A deep *target* and a shallow *draft* of the Llama architecture share one tokenizer and ship with
the
package, so that every lab runs without a download. Any engine loads them from their folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WEIGHTS = Path(__file__).parent / "weights"


def target_path() -> Path:
    """Folder of the target model (config, safetensors, tokenizer)."""
    return _folder("target")


def draft_path() -> Path:
    """Folder of the draft model."""
    return _folder("draft")


def load_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer that both course models share."""
    from course_lib.zoo.tokenizer import load_tokenizer as load

    return load(target_path())


def _folder(name: str) -> Path:
    folder = WEIGHTS / name
    if not (folder / "model.safetensors").exists():
        raise FileNotFoundError(
            f"the weights of the course model {name!r} are missing from {folder}; "
            "check the clone out again, or train them with: ./course zoo train"
        )
    return folder
