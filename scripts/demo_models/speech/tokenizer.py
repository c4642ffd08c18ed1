"""Train the speech model's tokenizer: byte-level BPE, then Whisper's special tokens in Whisper's own order.

python tokenizer.py build/demo-models/speech/tokenizer.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from text import english, french
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

PLAIN = 620  # pieces of words; the special tokens follow
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|fr|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
TIMESTAMPS = tuple(f"<|{i * 0.02:.2f}|>" for i in range(1501))


def train_tokenizer() -> Tokenizer:
    rng = Random(3)
    texts = [f" {english(rng)}" for _ in range(6000)]
    texts += [f" {sentence}" for _ in range(1500) for sentence in french(rng)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PLAIN,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        min_frequency=1,
    )
    tokenizer.train_from_iterator(texts, trainer)
    for tokens in (SPECIAL, TIMESTAMPS):
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="where tokenizer.json goes")
    args = parser.parse_args()
    args.file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(args.file))
    print(f"{tokenizer.get_vocab_size()} tokens: {tokenizer.encode(' Turn on the kitchen light.').tokens}")


if __name__ == "__main__":
    main()
