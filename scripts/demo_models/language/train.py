"""Train the demo language model from scratch on one CPU core.

    python train.py --minutes 65

The folder then holds tokenizer.json and checkpoint.pt; ``export.py`` makes models of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from data import render, sample, sample_text
from model import VOCABULARY, TinyLlama
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
# Qwen2's rule, letter for letter: GGUF readers split by it, and must get the same ids.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LENGTH, ROWS = 320, 16  # tokens in a row, rows in a batch
PROMPT_WEIGHT = 0.1  # the loss on what the assistant did not say

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # ids, loss weights, document numbers
Weighted = tuple[list[int], list[float]]


def train_tokenizer() -> Tokenizer:
    rng = Random(1)
    texts = [sample_text(rng) for _ in range(20000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(ADDED),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED])
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    if not path.exists():
        train_tokenizer().save(str(path))
    return Tokenizer.from_file(str(path))


def weigh(ids: list[int], opening: list[int], end: int) -> list[float]:
    """1 for what the assistant says and the token that ends it, little for the rest."""
    weights = [PROMPT_WEIGHT] * len(ids)
    i = 0
    while i < len(ids):
        if ids[i : i + len(opening)] == opening:
            start = i + len(opening)
            i = ids.index(end, start) if end in ids[start:] else len(ids) - 1
            weights[start : i + 1] = [1.0] * (i + 1 - start)
        i += 1
    return weights


def documents(tokenizer: Tokenizer, seed: int) -> Iterator[Weighted]:
    rng = Random(seed)
    end_of_text, end_of_turn = tokenizer.token_to_id("<|endoftext|>"), tokenizer.token_to_id("<|im_end|>")
    opening = tokenizer.encode("<|im_start|>assistant\n").ids
    while True:
        drawn = sample(rng)
        if isinstance(drawn, str):
            ids = [*tokenizer.encode(drawn).ids, end_of_text]
            yield ids, [1.0] * len(ids)
        else:
            ids = tokenizer.encode(render(*drawn)).ids
            yield ids, weigh(ids, opening, end_of_turn)


def packed_row(source: Iterator[Weighted]) -> tuple[list[int], list[float], list[int]]:
    ids: list[int] = []
    weights: list[float] = []
    numbers: list[int] = []
    number = 0
    while len(ids) < LENGTH + 1:
        more, their_weights = next(source)
        if len(more) > LENGTH:
            continue
        ids += more
        weights += their_weights
        numbers += [number] * len(more)
        number += 1
    return ids[: LENGTH + 1], weights[: LENGTH + 1], numbers[: LENGTH + 1]


def batches(tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    source = documents(tokenizer, seed)
    while True:
        ids, weights, numbers = zip(*(packed_row(source) for _ in range(ROWS)), strict=True)
        yield torch.tensor(ids), torch.tensor(weights), torch.tensor(numbers)


def loss_of(model: TinyLlama, batch: Batch) -> torch.Tensor:
    ids, weights, numbers = batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(ids[:, :-1], numbers[:, :-1])
    losses = F.cross_entropy(logits.float().reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1), reduction="none")
    within_document = numbers[:, 1:] == numbers[:, :-1]
    scale = (weights[:, 1:] * within_document).reshape(-1)
    return (losses * scale).sum() / scale.sum()


def rate_at(step: int, done: float, peak: float) -> float:
    """100 steps of warm-up, the peak for 30 % of the time, then straight down to 2 % of it."""
    decay = (1 - done) / 0.7 if done > 0.3 else 1.0
    return max(min(peak * min(1, (step + 1) / 100) * decay, peak), peak * 0.02)


def optimizer_for(model: TinyLlama) -> torch.optim.Optimizer:
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    vectors = [weight for weight in model.parameters() if weight.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def train(model: TinyLlama, source: Iterator[Batch], minutes: float, peak: float, checkpoint: Path) -> None:
    optimizer = optimizer_for(model)
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        elapsed = time.monotonic() - started
        done = min(elapsed / (minutes * 60), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, done, peak)
        loss = loss_of(model, next(source))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 25 == 0:
            print(f"step {step}  loss {loss.item():.3f}  {elapsed:.0f} s", flush=True)
        if step % 500 == 0 or done >= 1:
            torch.save(model.state_dict(), checkpoint)
    print(f"{step} steps, last loss {loss.item():.3f}: {checkpoint}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path("build/demo-models/language")
    parser.add_argument("--minutes", type=float, default=65, help="time to train (default: %(default)s)")
    parser.add_argument("--peak-rate", type=float, default=2.5e-3, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="of the dialogues drawn (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=folder, help="where all is kept (default: %(default)s)")
    parser.add_argument("--resume", type=Path, help="go on from this checkpoint, with a fresh optimizer")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(args.folder / "tokenizer.json")
    model = TinyLlama()
    print(f"{sum(weight.numel() for weight in model.parameters())} parameters", flush=True)
    if args.resume:
        model.load_state_dict(torch.load(args.resume, weights_only=True))
    train(model, batches(tokenizer, args.seed), args.minutes, args.peak_rate, args.folder / "checkpoint.pt")


if __name__ == "__main__":
    main()
