"""What a model folder holds, read without loading it: the headers of its safetensors files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

# https://huggingface.co/docs/safetensors, section "Format"
BYTES_OF = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1}
BYTES_OF |= {"BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
HEADER_LENGTH_BYTES = 8


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint.

    Attributes:
        name: such as "model.layers.0.self_attn.k_proj.weight".
        dtype: as safetensors writes it, such as "BF16".
        shape: rows first.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes that it takes in the file."""
        return self.parameters * BYTES_OF[self.dtype]


def model_folder(model: str) -> Path:
    """The folder of a model; one with a hub name is fetched, or found in the cache."""
    folder = Path(model)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.jinja"]))


def stored_tensors(folder: Path) -> list[StoredTensor]:
    """Every tensor in the safetensors files of a folder.

    A file begins with the header's length (8 bytes, little endian) and the header (JSON: name,
    dtype, shape and place of each tensor); then come the numbers, which are not read here.

    Raises:
        FileNotFoundError: if the folder holds no safetensors file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .safetensors file: is it a model folder?")
    tensors = []
    for path in files:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(HEADER_LENGTH_BYTES), "little")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        tensors += [
            StoredTensor(name, entry["dtype"], tuple(entry["shape"]))
            for name, entry in header.items()
        ]
    return tensors
