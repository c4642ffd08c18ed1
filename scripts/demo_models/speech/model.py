"""The Whisper that is trained here: its sizes, and the sound that goes into it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.audio_utils import mel_filter_bank

WIDTH, ENCODER_LAYERS, DECODER_LAYERS, MEL_BANDS = 128, 3, 2, 80

_MEL = torch.tensor(
    mel_filter_bank(
        num_frequency_bins=201,
        num_mel_filters=MEL_BANDS,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=16000,
        norm="slaney",
        mel_scale="slaney",
    ),
    dtype=torch.float32,
)
_WINDOW = torch.hann_window(400)


def whisper_config(vocabulary: int, end: int, start: int) -> WhisperConfig:
    return WhisperConfig(
        vocab_size=vocabulary,
        d_model=WIDTH,
        encoder_layers=ENCODER_LAYERS,
        decoder_layers=DECODER_LAYERS,
        encoder_attention_heads=WIDTH // 64,
        decoder_attention_heads=WIDTH // 64,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        num_mel_bins=MEL_BANDS,
        max_source_positions=1500,
        max_target_positions=448,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )


def log_mel(samples: Tensor) -> Tensor:
    """Whisper's features, (batch, bands, frames), of samples (batch, time) between -1 and 1."""
    return mel_of_power(windowed_power(samples))


def windowed_power(samples: Tensor) -> Tensor:
    """(batch, frequencies, frames) of samples (batch, time)."""
    window = _WINDOW.to(samples.device)
    return torch.stft(samples, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2


def mel_of_power(power: Tensor) -> Tensor:
    """Whisper's features of such a spectrum."""
    mel = (power.transpose(-1, -2) @ _MEL.to(power.device)).transpose(-1, -2)
    logarithm = torch.clamp(mel, min=1e-10).log10()
    floor = logarithm.amax(dim=(-1, -2), keepdim=True) - 8.0
    return (torch.maximum(logarithm, floor) + 4) / 4


def encode(model: WhisperForConditionalGeneration, positions: Tensor, mel: Tensor) -> Tensor:
    """The encoder without its demand for 30 seconds: short clips train faster."""
    encoder = model.model.encoder
    x = F.gelu(encoder.conv1(mel))
    x = F.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = x + positions[: x.shape[1]]
    for layer in encoder.layers:
        out = layer(x, None)
        x = out[0] if isinstance(out, tuple) else out
    return encoder.layer_norm(x)
