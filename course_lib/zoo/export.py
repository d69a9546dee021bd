"""Write a trained model as a Hugging Face folder that transformers and vLLM load unchanged."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import torch

from course_lib.zoo.network import Shape, Weights, hf_config, hf_state

if TYPE_CHECKING:
    from pathlib import Path

#: ids of end of text and end of turn: generation ends at either.
END_IDS = [1, 6]


def export(weights: Weights, shape: Shape, tokenizer_folder: Path, folder: Path) -> None:
    """Save config, bf16 safetensors, generation config and tokenizer into ``folder``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.cpu() for name, tensor in hf_state(weights, shape, torch.bfloat16).items()
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(hf_config(shape), indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": END_IDS, "pad_token_id": 2, "do_sample": False}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    for name in (
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
    ):
        if (tokenizer_folder / name).exists():
            shutil.copyfile(tokenizer_folder / name, folder / name)
