"""Go on with the demo speech model on a GPU, until it hears telephones, noise and voices that are off the mark.

    python tune.py build/demo-models/whisper/hf --minutes 4 --test test

The training set (train.pcm, train.json of ``synth.py``) lies in the GPU's memory as a whole, and every window is made
there: another speed, place, loudness and noise each time; nearly half lose all above 3 to 4 kHz, as in a telephone,
some are told in 8 bits, many are filtered or lose a band. checkpoint.pt in the folder is then a mean over the last
steps, for ``export.py``. With ``--test NAME`` the word error rate of that set is told, in the whole band and in a
telephone's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from evaluate import Score
from model import MEL_BANDS, WIDTH, mel_of_power, whisper_config, windowed_power
from synth import RATE, Clip, load
from tokenizers import Tokenizer
from torch import Tensor, nn
from train import LETTERS, UNSCORED, Vocabulary, ctc_loss, letters_of, rate_at
from transformers import WhisperForConditionalGeneration

WINDOW = 30 * RATE  # samples
LATEST = 1.5  # seconds into the window at which speech begins
LONGEST_ANSWER = 48  # tokens
KEPT = 0.999  # of the mean of all weights, at every step


class Batch(NamedTuple):
    mel: Tensor
    ids: Tensor
    labels: Tensor
    letters: list[list[int]]


class Windows:
    """Batches of windows, drawn and made on the GPU."""

    def __init__(self, clips: list[Clip], samples: np.ndarray, vocabulary: Vocabulary, device: torch.device) -> None:
        self.clips = clips
        self.vocabulary = vocabulary
        self.device = device
        self.sound = torch.from_numpy(np.array(samples)).to(device)
        self.offsets = torch.tensor([clip.offset for clip in clips], device=device)
        self.lengths = torch.tensor([clip.length for clip in clips], device=device)
        self.said = [vocabulary.words(clip.text) for clip in clips]
        self.translated = [vocabulary.words(clip.translation) for clip in clips]
        self.letters = [letters_of(clip.text) for clip in clips]
        self.rng = Random(5)

    def batch(self, rows: int) -> Batch:
        """Windows as a training set wants them: no two alike."""
        chosen = torch.randint(len(self.clips), (rows,), device=self.device)
        speed = 1 + (self._uniform(rows, -0.15, 0.18) * (torch.rand(rows, device=self.device) < 0.8))
        start = self._uniform(rows, 0, LATEST) * (torch.rand(rows, device=self.device) < 0.8)
        silent = torch.rand(rows, device=self.device) < 0.02
        length = self.lengths[chosen] / RATE / speed
        sound = self.placed(chosen, start, speed) * self._decibels(rows, -18, 3) * ~silent[:, None]
        sound += self._noise(rows, start + length)
        mel = mel_of_power(windowed_power(self._quantised(sound)) * self._bands(rows))
        self._mask(mel)
        return Batch(mel, *self._answers(chosen.tolist(), start.tolist(), length.tolist(), silent.tolist()))

    def placed(self, chosen: Tensor, start: Tensor, speed: Tensor) -> Tensor:
        """The chosen clips in windows of silence, from ``start`` seconds on."""
        times = torch.arange(WINDOW, device=self.device) - start[:, None] * RATE
        places = times * speed[:, None]
        inside = (places >= 0) & (places < self.lengths[chosen][:, None] - 1)
        places = torch.where(inside, places, 0)
        whole = places.long()
        at = self.offsets[chosen][:, None] + whole
        first, second = self.sound[at].float(), self.sound[at + 1].float()
        return (first + (second - first) * (places - whole)) * inside / 32768

    def _uniform(self, rows: int, low: float, high: float) -> Tensor:
        return torch.rand(rows, device=self.device) * (high - low) + low

    def _decibels(self, rows: int, low: float, high: float) -> Tensor:
        return 10 ** (self._uniform(rows, low, high) / 20)[:, None]

    def _noise(self, rows: int, end: Tensor) -> Tensor:
        """White noise in six of ten windows: half of them all through, half up to half a second after the speech."""
        noise = torch.randn(rows, WINDOW, device=self.device) * self._decibels(rows, -80, -32)
        cut = end + 0.5 + 30 * (torch.rand(rows, device=self.device) < 0.5)
        heard = torch.arange(WINDOW, device=self.device) < (cut * RATE)[:, None]
        return noise * heard * (torch.rand(rows, device=self.device) < 0.6)[:, None]

    def _quantised(self, sound: Tensor) -> Tensor:
        """Some windows in 7 or 8 bits, as old telephones and sound cards have them."""
        rows = len(sound)
        steps = torch.where(torch.rand(rows, device=self.device) < 0.5, 64, 128)[:, None]
        coarse = (torch.rand(rows, device=self.device) < 0.12)[:, None]
        return torch.where(coarse, torch.round(sound * steps) / steps, sound)

    def _bands(self, rows: int) -> Tensor:
        """What is left of the power at each of the 201 frequencies: (rows, 201, 1)."""
        frequency = torch.linspace(0, RATE / 2, 201, device=self.device)
        narrow = torch.rand(rows, device=self.device) < 0.45
        limit = torch.where(narrow, self._uniform(rows, 3000, 4000), RATE)
        left = torch.sigmoid((limit[:, None] - frequency) / 25).clamp(min=1e-10)
        low = self._uniform(rows, 0, 300) * (torch.rand(rows, device=self.device) < 0.2)
        left *= torch.where(frequency < low[:, None], 1e-3, 1.0)
        knots = torch.randn(rows, 1, 7, device=self.device) * 5 * (torch.rand(rows, 1, 1, device=self.device) < 0.6)
        curve = F.interpolate(knots, size=201, mode="linear", align_corners=True)[:, 0]
        return (left * 10 ** (curve / 10))[:, :, None]

    def _mask(self, mel: Tensor) -> None:
        """A band in three of ten windows, and a tenth of a second or less in two of ten, hold nothing."""
        for row in mel:
            if self.rng.random() < 0.3:
                bands = self.rng.randint(0, 12)
                first = self.rng.randint(0, MEL_BANDS - bands)
                row[first : first + bands] = row.min()
            if self.rng.random() < 0.2:
                at = self.rng.randint(0, 300)
                row[:, at : at + self.rng.randint(0, 8)] = row.min()

    def _answers(
        self, chosen: list[int], start: list[float], length: list[float], silent: list[bool]
    ) -> tuple[Tensor, Tensor, list[list[int]]]:
        words, rows = self.vocabulary, len(chosen)
        ids = torch.full((rows, LONGEST_ANSWER), words.end)
        labels = torch.full((rows, LONGEST_ANSWER), UNSCORED)
        for row, (clip, first, seconds, nothing) in enumerate(zip(chosen, start, length, silent, strict=True)):
            tokens = self._tokens(clip, first, first + seconds, nothing)
            ids[row, : len(tokens)] = labels[row, : len(tokens)] = torch.tensor(tokens)
        letters = [[] if nothing else self.letters[clip] for clip, nothing in zip(chosen, silent, strict=True)]
        ids, labels = ids.to(self.device), labels.to(self.device)
        return ids[:, :-1], labels[:, 1:], letters

    def _tokens(self, clip: int, start: float, end: float, nothing: bool) -> list[int]:
        words, language = self.vocabulary, self.clips[clip].language
        if nothing:
            return [words.start, words.languages["en"], words.transcribe, words.no_timestamps, words.end]
        translate = language == "fr" and self.rng.random() < 0.45
        said = self.translated[clip] if translate else self.said[clip]
        opening = [words.start, words.languages[language], words.translate if translate else words.transcribe]
        if self.rng.random() < 0.7:
            return [*opening, words.timestamp(start), *said, words.timestamp(end), words.end]
        return [*opening, words.no_timestamps, *said, words.end]


class Tuner:
    """The model, a fresh CTC head, and the mean of the weights so far."""

    def __init__(self, source: Path, vocabulary: Vocabulary, device: torch.device) -> None:
        self.model = WhisperForConditionalGeneration(whisper_config(vocabulary.size, vocabulary.end, vocabulary.start))
        self.model.load_state_dict(WhisperForConditionalGeneration.from_pretrained(source).state_dict())
        self.model.to(device).train()
        self.ctc = nn.Linear(WIDTH, len(LETTERS) + 1).to(device)
        self.mean = {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW([*weights, *self.ctc.parameters()], betas=(0.9, 0.98), weight_decay=0.02)

    def learn(self, batch: Batch, rate: float) -> tuple[float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(batch.mel.device.type, dtype=torch.bfloat16):
            hidden = self.model.model.encoder(batch.mel).last_hidden_state
            decoded = self.model.model.decoder(input_ids=batch.ids, encoder_hidden_states=hidden, use_cache=False)[0]
            logits, letters = self.model.proj_out(decoded), self.ctc(hidden[:, :520])
        labels = batch.labels.reshape(-1)
        words = F.cross_entropy(logits.float().flatten(0, 1), labels, ignore_index=UNSCORED, label_smoothing=0.02)
        loss = words + ctc_loss(letters, batch.letters)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            for name, weight in self.model.state_dict().items():
                self.mean[name].lerp_(weight, 1 - KEPT)
        return words.item(), loss.item() - words.item()

    def save(self, path: Path) -> None:
        """As train.py does, so that export.py can read it."""
        torch.save({"model": self.mean, "ctc": self.ctc.state_dict()}, path)


@torch.no_grad()
def told(model: WhisperForConditionalGeneration, mel: Tensor, opening: list[int], end: int) -> list[list[int]]:
    """Greedy answers, without what opens them."""
    ids = torch.tensor(opening, device=mel.device).repeat(len(mel), 1)
    hidden = model.model.encoder(mel)
    done = torch.zeros(len(mel), dtype=torch.bool, device=mel.device)
    for _ in range(LONGEST_ANSWER - len(opening)):
        chosen = model(encoder_outputs=hidden, decoder_input_ids=ids).logits[:, -1].argmax(-1)
        chosen = torch.where(done, end, chosen)
        ids, done = torch.cat([ids, chosen[:, None]], 1), done | (chosen == end)
        if done.all():
            break
    return [row[len(opening) :] for row in ids.tolist()]


@torch.no_grad()
def tested(model: WhisperForConditionalGeneration, test: Windows, limit: float, rows: int = 100) -> dict[str, Score]:
    """Word error rates where nothing above ``limit`` Hz is heard."""
    model.eval()
    words, scores = test.vocabulary, {}
    for language in ("en", "fr"):
        chosen = [number for number, clip in enumerate(test.clips) if clip.language == language]
        scores[language] = Score()
        for first in range(0, len(chosen), rows):
            part = torch.tensor(chosen[first : first + rows], device=test.device)
            ones = torch.ones(len(part), device=test.device)
            frequency = torch.linspace(0, RATE / 2, 201, device=test.device)[None, :, None]
            power = windowed_power(test.placed(part, ones * 0.3, ones)) * torch.where(frequency < limit, 1.0, 1e-10)
            opening = [words.start, words.languages[language], words.transcribe, words.timestamp(0.3)]
            for number, ids in zip(part.tolist(), told(model, mel_of_power(power), opening, words.end), strict=True):
                text = words.tokenizer.decode([token for token in ids if token < words.end])
                scores[language].add(test.clips[number].text, text.strip(), test.clips[number].voice)
    model.train()
    return scores


def show(model: WhisperForConditionalGeneration, test: Windows | None) -> None:
    if test is not None:
        for limit in (RATE, 3900):
            print(limit, {name: str(score) for name, score in tested(model, test, limit).items()}, flush=True)


def tune(tuner: Tuner, windows: Windows, test: Windows | None, args: argparse.Namespace) -> None:
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        done = min((time.monotonic() - started) / (args.minutes * 60), 1.0)
        words, letters = tuner.learn(windows.batch(args.rows), rate_at(step, done, args.peak_rate))
        step += 1
        if step % args.every == 0 or done >= 1:
            print(
                f"step {step}  words {words:.3f}  letters {letters:.3f}  {time.monotonic() - started:.0f} s", flush=True
            )
    tuner.model.load_state_dict(tuner.mean)
    show(tuner.model, test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path("build/demo-models/speech")
    parser.add_argument("source", type=Path, help="the model to go on from: a Hugging Face folder")
    parser.add_argument("--minutes", type=float, required=True, help="time to train")
    parser.add_argument("--folder", type=Path, default=folder, help="where all is kept (default: %(default)s)")
    parser.add_argument("--test", help="a set of synth.py to measure by")
    parser.add_argument("--rows", type=int, default=128, help="windows in a batch (default: %(default)s)")
    parser.add_argument("--every", type=int, default=200, help="steps between two lines (default: %(default)s)")
    parser.add_argument("--peak-rate", type=float, default=6e-4, help="learning rate (default: %(default)s)")
    args = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vocabulary = Vocabulary(Tokenizer.from_file(str(args.folder / "tokenizer.json")))
    windows = Windows(*load(args.folder / "train"), vocabulary, device)
    test = Windows(*load(args.folder / args.test), vocabulary, device) if args.test else None
    tuner = Tuner(args.source, vocabulary, device)
    show(tuner.model, test)
    tune(tuner, windows, test, args)
    tuner.save(args.folder / "checkpoint.pt")


if __name__ == "__main__":
    main()
