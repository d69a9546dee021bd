"""Headers of safetensors files, against the library that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from course_lib.backends.checkpoint import model_folder, stored_tensors


def test_headers_tell_what_was_saved_in_all_files(tmp_path: Path) -> None:
    first = {"a": torch.zeros(3, 5, dtype=torch.bfloat16), "b": torch.zeros(7)}
    save_file(first, tmp_path / "model-1.safetensors", metadata={"format": "pt"})
    save_file({"c": torch.zeros((), dtype=torch.int8)}, tmp_path / "model-2.safetensors")
    found = {tensor.name: tensor for tensor in stored_tensors(tmp_path)}
    assert {name: tensor.shape for name, tensor in found.items()} == {
        "a": (3, 5),
        "b": (7,),
        "c": (),
    }
    assert [found[name].num_bytes for name in "abc"] == [30, 28, 1]
    assert [found[name].parameters for name in "abc"] == [15, 7, 1]


def test_a_folder_is_its_own_address(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path)) == tmp_path


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.safetensors file"):
        stored_tensors(tmp_path)
