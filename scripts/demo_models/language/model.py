"""The Llama that is trained here: its sizes, and a plain PyTorch forward pass with Llama's tensor names."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, VOCABULARY, CONTEXT = 192, 4, 3, 1, 512, 2048, 2048
HEAD_WIDTH = WIDTH // HEADS
NORM_EPSILON, ROPE_BASE = 1e-5, 10000.0

Rotation = tuple[Tensor, Tensor]  # cosine and sine, each (time, head width)


class RMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (WIDTH,), self.weight, NORM_EPSILON)


def rotation(length: int) -> Rotation:
    inverse = 1 / (ROPE_BASE ** (torch.arange(0, HEAD_WIDTH, 2).float() / HEAD_WIDTH))
    angles = torch.outer(torch.arange(length).float(), inverse)
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    cosine, sine = by
    half = HEAD_WIDTH // 2
    return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k_proj = nn.Linear(WIDTH, KV_HEADS * HEAD_WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, KV_HEADS * HEAD_WIDTH, bias=False)
        self.o_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, by: Rotation, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape

        def heads(projected: Tensor, number: int) -> Tensor:
            return projected.view(batch, length, number, HEAD_WIDTH).transpose(1, 2)

        query = rotate(heads(self.q_proj(x), HEADS), by)
        key = rotate(heads(self.k_proj(x), KV_HEADS), by).repeat_interleave(HEADS // KV_HEADS, 1)
        value = heads(self.v_proj(x), KV_HEADS).repeat_interleave(HEADS // KV_HEADS, 1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.o_proj(attended.transpose(1, 2).reshape(batch, length, WIDTH))


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down_proj = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.mlp = FeedForward()
        self.input_layernorm = RMSNorm()
        self.post_attention_layernorm = RMSNorm()

    def forward(self, x: Tensor, by: Rotation, mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), by, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class TinyLlama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm()
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                into_residual = "o_proj" in name or "down" in name
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if into_residual else 0.02)

    def forward(self, ids: Tensor, documents: Tensor) -> Tensor:
        """Logits for ids (batch, time); ``documents`` numbers each token's document: none sees another."""
        length = ids.shape[1]
        same_document = documents[:, :, None] == documents[:, None, :]
        mask = (same_document & torch.tril(torch.ones(length, length, dtype=torch.bool)))[:, None]
        x, by = self.embed_tokens(ids), rotation(length)
        for layer in self.layers:
            x = layer(x, by, mask)
        return self.norm(x) @ self.embed_tokens.weight.T
