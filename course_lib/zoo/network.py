"""The course models as plain tensors, for training: a Llama forward pass that compiles to few
passes over memory.

The architecture is that of `LlamaForCausalLM`: pre-norm RMSNorm (eps 1e-5), rotary position
embedding on
half-split heads (theta 10,000), grouped-query attention, SwiGLU, tied embeddings. `hf_state`
names the
weights as Hugging Face does, so that any engine loads what is trained here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
ROPE_THETA = 10_000.0


@dataclass(frozen=True)
class Shape:
    """Sizes of one model; ``num_heads`` query heads share ``num_kv_heads`` key-value heads."""

    hidden: int
    ffn: int
    layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocabulary: int = 4096
    context: int = 1024

    @property
    def num_parameters(self) -> int:
        attention = self.hidden * self.head_dim * (2 * self.num_heads + 2 * self.num_kv_heads)
        layer = attention + 3 * self.hidden * self.ffn + 2 * self.hidden
        return self.layers * layer + self.vocabulary * self.hidden + self.hidden


Weights = dict[str, Tensor]


def rotary(
    length: int, head_dim: int, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each ``[length, 1, head_dim / 2]``."""
    frequency = ROPE_THETA ** (-torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angle = torch.arange(length, device=device).float()[:, None] * frequency[None]
    return angle.cos()[:, None].to(dtype), angle.sin()[:, None].to(dtype)


def logits(tokens: Tensor, weights: Weights, shape: Shape) -> Tensor:
    """Next-token logits ``[batch, length, vocabulary]`` of ``tokens`` ``[batch, length]``; no
    cache.
    """
    embedding = weights["embedding"]
    length = tokens.shape[1]
    cos, sin = rotary(length, shape.head_dim, embedding.dtype, tokens.device)
    mask = torch.full((length, length), float("-inf"), device=tokens.device).triu(1)
    x = F.embedding(tokens, embedding)
    for i in range(shape.layers):
        layer = {
            name: weights[f"{i}.{name}"]
            for name in ("attention_norm", "qkv", "out", "ffn_norm", "gate_up", "down")
        }
        x = x + _attention(_norm(x, layer["attention_norm"]), layer, shape, cos, sin, mask)
        gate, up = F.linear(_norm(x, layer["ffn_norm"]), layer["gate_up"]).chunk(2, dim=-1)
        x = x + F.linear(F.silu(gate) * up, layer["down"])
    return F.linear(_norm(x, weights["norm"]), embedding)


def loss(tokens: Tensor, targets: Tensor, weights: Weights, shape: Shape) -> Tensor:
    """Mean cross-entropy in nats per token."""
    scores = logits(tokens, weights, shape)
    return F.cross_entropy(scores.view(-1, shape.vocabulary).float(), targets.reshape(-1))


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, EPSILON)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).transpose(1, 2)


def _attention(
    x: Tensor, layer: Weights, shape: Shape, cos: Tensor, sin: Tensor, mask: Tensor
) -> Tensor:
    batch, length, _ = x.shape
    heads, kv_heads, size = shape.num_heads, shape.num_kv_heads, shape.head_dim
    q, k, v = F.linear(x, layer["qkv"]).split_with_sizes(
        [heads * size, kv_heads * size, kv_heads * size], dim=-1
    )
    q = _rotate(q.view(batch, length, heads, size), cos, sin)
    k = _rotate(k.view(batch, length, kv_heads, size), cos, sin).repeat_interleave(
        heads // kv_heads, dim=1
    )
    v = (
        v.view(batch, length, kv_heads, size)
        .transpose(1, 2)
        .repeat_interleave(heads // kv_heads, dim=1)
    )
    scores = (q @ k.transpose(-1, -2)).float() * size**-0.5 + mask
    mixed = torch.softmax(scores, dim=-1).to(x.dtype) @ v
    return F.linear(mixed.transpose(1, 2).reshape(batch, length, heads * size), layer["out"])


def hf_config(shape: Shape) -> dict[str, object]:
    """The `config.json` of the equivalent `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "num_attention_heads": shape.num_heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.num_kv_heads,
        "rms_norm_eps": EPSILON,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


def hf_state(weights: Weights, shape: Shape, dtype: torch.dtype = torch.bfloat16) -> Weights:
    """The weights under Hugging Face's names, fused matrices split, cast to ``dtype``."""
    queries, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    out = {"model.embed_tokens.weight": weights["embedding"], "model.norm.weight": weights["norm"]}
    for i in range(shape.layers):
        prefix = f"model.layers.{i}."
        q, k, v = weights[f"{i}.qkv"].split_with_sizes([queries, keys, keys])
        gate, up = weights[f"{i}.gate_up"].chunk(2)
        out[prefix + "input_layernorm.weight"] = weights[f"{i}.attention_norm"]
        out[prefix + "post_attention_layernorm.weight"] = weights[f"{i}.ffn_norm"]
        for name, tensor in {"q": q, "k": k, "v": v, "o": weights[f"{i}.out"]}.items():
            out[f"{prefix}self_attn.{name}_proj.weight"] = tensor
        for name, tensor in {"gate": gate, "up": up, "down": weights[f"{i}.down"]}.items():
            out[f"{prefix}mlp.{name}_proj.weight"] = tensor
    return {name: tensor.detach().to(dtype).contiguous() for name, tensor in out.items()}
