"""Train the demo speech model from scratch on synthetic speech, on the CPU.

    python train.py --minutes 90

The folder holds train.pcm and train.json (of ``synth.py``) and tokenizer.json (of ``tokenizer.py``);
checkpoint.pt joins them. Clips are short first and reach Whisper's window of 30 seconds last.
A CTC head on the encoder helps it to align.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from model import MEL_BANDS, WIDTH, encode, log_mel, whisper_config
from synth import RATE, Clip, load
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import WhisperForConditionalGeneration

LETTERS = {letter: i + 1 for i, letter in enumerate("abcdefghijklmnopqrstuvwxyzéèêàùçœîôû' -")}  # 0 is the blank
STEP = 0.02  # seconds between two timestamps
UNSCORED = -100


class Phase(NamedTuple):
    number: int
    seconds: float  # of every clip
    rows: int  # clips in a batch
    augmentation: float  # 0 none, 1 full


PHASES = (Phase(0, 2.2, 64, 0.0), Phase(1, 5, 32, 0.5), Phase(2, 8, 24, 1.0), Phase(3, 30, 6, 1.0))


class Example(NamedTuple):
    sound: np.ndarray
    ids: list[int]  # what the decoder reads and says
    letters: list[int]  # what the CTC head says


class Batch(NamedTuple):
    mel: Tensor
    ids: Tensor
    labels: Tensor
    letters: list[list[int]]


class Vocabulary:
    def __init__(self, tokenizer: Tokenizer) -> None:
        def token(name: str) -> int:
            return tokenizer.token_to_id(f"<|{name}|>")

        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.start, self.end = token("startoftranscript"), token("endoftext")
        self.languages = {"en": token("en"), "fr": token("fr")}
        self.transcribe, self.translate = token("transcribe"), token("translate")
        self.no_timestamps, self.first_timestamp = token("notimestamps"), token("0.00")

    def timestamp(self, seconds: float) -> int:
        return self.first_timestamp + round(seconds / STEP)

    def words(self, text: str) -> list[int]:
        return self.tokenizer.encode(f" {text}").ids


def letters_of(text: str) -> list[int]:
    return [LETTERS[letter] for letter in text.lower() if letter in LETTERS]


class Examples:
    """Clips, never twice the same: speed, place, loudness, noise, task and timestamps are drawn."""

    def __init__(self, clips: list[Clip], samples: np.ndarray, vocabulary: Vocabulary) -> None:
        self.clips = clips
        self.short = [clip for clip in clips if clip.length < RATE * 1.7]
        self.samples = samples
        self.vocabulary = vocabulary
        self.rng = Random(5)
        self.noise_rng = np.random.default_rng(5)

    def batch(self, phase: Phase) -> Batch:
        examples = [self._silence_or_speech(phase) for _ in range(phase.rows)]
        mel = log_mel(torch.tensor(np.stack([example.sound for example in examples])))
        for row in mel:
            self._mask_bands(row, phase.augmentation)
        longest = max(len(example.ids) for example in examples)
        ids = torch.full((phase.rows, longest), self.vocabulary.end)
        labels = torch.full((phase.rows, longest), UNSCORED)
        for i, example in enumerate(examples):
            ids[i, : len(example.ids)] = torch.tensor(example.ids)
            labels[i, : len(example.ids)] = torch.tensor(example.ids)
        return Batch(mel, ids[:, :-1], labels[:, 1:], [example.letters for example in examples])

    def _silence_or_speech(self, phase: Phase) -> Example:
        return self._silence(phase) if self.rng.random() < 0.02 else self._speech(phase)

    def _silence(self, phase: Phase) -> Example:
        words = self.vocabulary
        sound = self._noise(int(phase.seconds * RATE), -90, -40)
        return Example(
            sound, [words.start, words.languages["en"], words.transcribe, words.no_timestamps, words.end], []
        )

    def _noise(self, length: int, quietest: float, loudest: float) -> np.ndarray:
        """White noise; the bounds are in decibels of full scale."""
        noise = self.noise_rng.standard_normal(length).astype(np.float32)
        return noise * 10 ** (self.rng.uniform(quietest, loudest) / 20)

    def _speech(self, phase: Phase) -> Example:
        clip = self.rng.choice(self.short if phase.seconds < 3 else self.clips)
        length = int(phase.seconds * RATE)
        speech = self._at_another_speed(clip)[: length - 1600]
        latest = max(0.0, min(1.5, (length - len(speech)) / RATE - 0.05))
        start = self.rng.uniform(0, latest) if self.rng.random() < 0.7 else 0.0
        offset = int(start * RATE)
        sound = np.zeros(length, np.float32)
        sound[offset : offset + len(speech)] = speech * 10 ** (self.rng.uniform(-18, 3) / 20)
        if self.rng.random() < 0.6 * phase.augmentation:
            sound += self._noise(length, -70, -32)
        ids = self._ids(clip, start, (offset + len(speech)) / RATE)
        return Example(sound, ids, letters_of(clip.text))

    def _at_another_speed(self, clip: Clip) -> np.ndarray:
        speech = self.samples[clip.offset : clip.offset + clip.length].astype(np.float32) / 32768
        speed = self.rng.uniform(0.92, 1.09)
        if abs(speed - 1) <= 0.02:
            return speech
        times = np.linspace(0, len(speech) - 1, int(len(speech) / speed))
        return np.interp(times, np.arange(len(speech)), speech).astype(np.float32)

    def _ids(self, clip: Clip, start: float, end: float) -> list[int]:
        words = self.vocabulary
        translate = clip.language == "fr" and self.rng.random() < 0.45
        task = words.translate if translate else words.transcribe
        said = words.words(clip.translation if translate else clip.text)
        opening = [words.start, words.languages[clip.language], task]
        if self.rng.random() < 0.6:
            return [*opening, words.timestamp(start), *said, words.timestamp(end), words.end]
        return [*opening, words.no_timestamps, *said, words.end]

    def _mask_bands(self, mel: Tensor, augmentation: float) -> None:
        if self.rng.random() < 0.5 * augmentation:
            bands = self.rng.randint(0, 15)
            first = self.rng.randint(0, MEL_BANDS - bands)
            mel[first : first + bands] = mel.min()


def ctc_loss(scores: Tensor, letters: list[list[int]]) -> Tensor:
    """Of scores (batch, frames, letters)."""
    log_probabilities = scores.float().log_softmax(-1).transpose(0, 1)
    frames = torch.full((len(letters),), log_probabilities.shape[0])
    lengths = torch.tensor([len(row) for row in letters])
    targets = torch.tensor(list(itertools.chain.from_iterable(letters)), dtype=torch.long, device=scores.device)
    return F.ctc_loss(log_probabilities, targets, frames, lengths, zero_infinity=True)


class Losses(NamedTuple):
    words: Tensor
    letters: Tensor
    accuracy: float


class Learner:
    """The model, its CTC head and the optimizer of both."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.model = WhisperForConditionalGeneration(whisper_config(vocabulary.size, vocabulary.end, vocabulary.start))
        self.positions = self.model.model.encoder.embed_positions.weight.detach().clone()
        self.ctc = nn.Linear(WIDTH, len(LETTERS) + 1)
        weights = [*self.model.parameters(), *self.ctc.parameters()]
        self.optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.98), weight_decay=0.02)

    def losses(self, batch: Batch) -> Losses:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = encode(self.model, self.positions, batch.mel)
            decoder = self.model.model.decoder
            decoded = decoder(input_ids=batch.ids, encoder_hidden_states=hidden, use_cache=False)[0]
            logits = self.model.proj_out(decoded)
            letter_scores = self.ctc(hidden)
        flat, labels = logits.float().flatten(0, 1), batch.labels.reshape(-1)
        words = F.cross_entropy(flat, labels, ignore_index=UNSCORED, label_smoothing=0.02)
        right = (logits.argmax(-1) == batch.labels)[batch.labels >= 0]
        return Losses(words, ctc_loss(letter_scores, batch.letters), right.float().mean().item())

    def learn(self, batch: Batch, rate: float) -> Losses:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = self.losses(batch)
        self.optimizer.zero_grad()
        (losses.words + losses.letters).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return losses

    def save(self, path: Path) -> None:
        torch.save({"model": self.model.state_dict(), "ctc": self.ctc.state_dict()}, path)

    def resume(self, path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.ctc.load_state_dict(saved["ctc"])


def rate_at(step: int, done: float, peak: float) -> float:
    """150 steps of warm-up, then half a cosine down to 3 %."""
    return peak * min(1, (step + 1) / 150) * (0.5 * (1 + math.cos(math.pi * done)) * 0.97 + 0.03)


def train(learner: Learner, examples: Examples, args: argparse.Namespace) -> None:
    checkpoint = args.folder / "checkpoint.pt"
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        elapsed = time.monotonic() - started
        done = min(elapsed / (args.minutes * 60), 1.0)
        phase = PHASES[sum(done >= bound for bound in args.phases)]
        losses = learner.learn(examples.batch(phase), rate_at(step, done, args.peak_rate))
        step += 1
        if step % 50 == 0 or done >= 1:
            print(
                f"step {step}  words {losses.words:.3f}  letters {losses.letters:.3f}  "
                f"accuracy {losses.accuracy:.3f}  phase {phase.number}  {elapsed:.0f} s",
                flush=True,
            )
        if step % 500 == 0 or done >= 1:
            learner.save(checkpoint)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path("build/demo-models/speech")
    parser.add_argument("--minutes", type=float, required=True, help="time to train")
    parser.add_argument("--peak-rate", type=float, default=1.5e-3, help="learning rate (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=folder, help="where all is kept (default: %(default)s)")
    parser.add_argument("--resume", type=Path, help="go on from this checkpoint, with a fresh optimizer")
    parser.add_argument(
        "--phases",
        type=float,
        nargs=3,
        default=(0.3, 0.55, 0.85),
        metavar="SHARE",
        help="shares of the time at which clips grow to 5, 8 and 30 seconds (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    vocabulary = Vocabulary(Tokenizer.from_file(str(args.folder / "tokenizer.json")))
    learner = Learner(vocabulary)
    if args.resume:
        learner.resume(args.resume)
    parameters = sum(weight.numel() for weight in learner.model.parameters())
    print(f"{parameters} parameters, {vocabulary.size} tokens", flush=True)
    train(learner, Examples(*load(args.folder / "train"), vocabulary), args)


if __name__ == "__main__":
    main()
