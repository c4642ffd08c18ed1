"""Streaming detokenisation: the pieces joined are the whole, whatever the text and the tokenizer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from fluid_server.content.stream import TokenDecoder

DEMO = Path(__file__).parents[2] / "models" / "llm" / "fluid-tiny-ov" / "tokenizer.json"
BAD = "\ufffd"
EOS = 2
THINK = 2046
TEXTS = [
    "Plain words, and punctuation: don't worry!",
    "   leading,   inner  and trailing spaces   ",
    "lines\n\n\n\tand tabs\r\n\r\n  end\n",
    "👩‍👩‍👧‍👦 a family, 🏳️‍🌈 a flag and 👍🏽 a thumb",
    "你好,世界。今天天气很好",
    "e\u0301 u\u0308 n\u0303 combining, and Z̷͑a̴l̶g̸o̵",
    "العربية עברית हिन्दी ไทย",
    "<think>\nhm\n</think>\n\nThe answer is 42.<tool_call>{}</tool_call>",
    "\x00 control \x1b[0m",
    "",
    "😀" * 40,
]


@pytest.fixture(scope="module")
def demo() -> Tokenizer:
    return Tokenizer.from_file(str(DEMO))


@pytest.fixture(scope="module")
def sentencepiece() -> Tokenizer:
    """Like Llama 2's: ▁ for spaces, <0x..> for bytes, and the text's first space is taken off again."""
    words = ["<unk>", "</s>", "▁", "▁Hello", "▁world", "Hello", "world", "s", "▁▁", "!"]
    vocabulary = words + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(vocabulary)}, [], byte_fallback=True))
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def metaspace() -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(["<unk>", "▁Hello", "▁world", "s", "▁", "!"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def stream(tokenizer: Tokenizer, ids: Sequence[int], size: int = 1) -> list[str]:
    """The pieces that come out when ``size`` tokens go in at a time; the last is what was left at the end."""
    decoder = TokenDecoder(tokenizer)
    return [decoder.feed(ids[at : at + size]) for at in range(0, len(ids), size)] + [decoder.flush()]


def named(tokenizer: Tokenizer, *words: str) -> list[int]:
    """The tokens that are called so."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[word] for word in words]


def tokens_of(tokenizer: Tokenizer, text: bytes | str) -> list[int]:
    """Byte tokens <0x..> for these bytes."""
    data = text.encode() if isinstance(text, str) else text
    return named(tokenizer, *(f"<0x{byte:02X}>" for byte in data))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_joined_are_the_whole_text(demo: Tokenizer, text: str, size: int) -> None:
    ids = demo.encode(text).ids
    pieces = stream(demo, ids, size)
    assert "".join(pieces) == demo.decode(ids) == text
    assert not any(BAD in piece for piece in pieces)


def test_text_comes_with_its_token_not_at_the_end(demo: Tokenizer) -> None:
    ids = demo.encode("Every word comes at once.").ids
    pieces = stream(demo, ids)
    assert pieces == [demo.decode([i]) for i in ids] + [""]


def test_a_character_spread_over_tokens_waits_until_it_is_complete(sentencepiece: Tokenizer) -> None:
    assert stream(sentencepiece, tokens_of(sentencepiece, "é😀")) == ["", "é", "", "", "", "😀", ""]


def test_special_tokens_are_dropped_and_other_added_ones_stay(demo: Tokenizer) -> None:
    word = demo.encode(" word").ids
    assert "".join(stream(demo, [EOS, THINK, EOS, *word, EOS, *word])) == "<think> word word"


@pytest.mark.parametrize("silent", [EOS, 1_000_000])
def test_an_endless_run_of_silent_tokens_stays_small(demo: Tokenizer, silent: int) -> None:
    decoder = TokenDecoder(demo)
    assert decoder.feed([silent] * 500) == ""
    assert len(decoder._ids) < 20
    assert decoder.feed(demo.encode("👍 after").ids) == "👍 after"


def test_an_incomplete_last_character_is_dropped(demo: Tokenizer) -> None:
    ids = demo.encode("a family 👩").ids[:-1]
    assert demo.decode(ids).endswith(BAD)
    assert "".join(stream(demo, ids)) == "a family "


def test_garbage_bytes_are_held_for_eight_tokens_at_most(sentencepiece: Tokenizer) -> None:
    pieces = stream(sentencepiece, [*tokens_of(sentencepiece, b"\xff" * 30), 6])
    assert pieces.index(next(filter(None, pieces))) == 7
    assert "".join(pieces) == BAD * 30 + "world"


def test_any_tokens_at_all_give_what_decoding_them_at_once_gives(demo: Tokenizer) -> None:
    chance = random.Random(7)
    for _ in range(300):
        ids = [chance.randrange(3, 2048) if chance.random() < 0.6 else chance.randrange(3, 259) for _ in range(60)]
        whole = demo.decode(ids).rstrip(BAD)
        assert "".join(stream(demo, ids)).rstrip(BAD) == whole


def test_text_after_garbage_is_whole_again(demo: Tokenizer) -> None:
    lone = demo.encode("世").ids[0]
    assert demo.decode([lone]) == BAD
    ids = [lone] * 5 + demo.encode("世界 fine").ids
    assert "".join(stream(demo, ids)) == BAD * 5 + "世界 fine"


def test_the_first_leading_space_alone_is_taken_off(sentencepiece: Tokenizer) -> None:
    ids = named(sentencepiece, "▁Hello", "▁world", "s", "▁▁", "▁Hello", "!")
    assert stream(sentencepiece, ids) == ["Hello", " world", "s", "  ", " Hello", "!", ""]


@pytest.mark.parametrize("prefix", [[], [1] * 30, [2], [2, 1], [1, 2, 1], [8]])
def test_sentencepiece_is_exact_over_random_words(sentencepiece: Tokenizer, prefix: list[int]) -> None:
    chance = random.Random(3)
    emoji = tokens_of(sentencepiece, "😀")
    for _ in range(200):
        words = [chance.choice([[1], [2], [3], [4], [5], [6], [7], [8], [9], emoji]) for _ in range(40)]
        ids = prefix + [token for word in words for token in word]
        for size in (1, 5):
            assert "".join(stream(sentencepiece, ids, size)) == sentencepiece.decode(ids)


def test_metaspace_is_exact(metaspace: Tokenizer) -> None:
    ids = metaspace.encode("Hello world Hello Hello world").ids * 10
    assert "".join(stream(metaspace, ids)) == metaspace.decode(ids)


def test_each_token_costs_one_short_decode(demo: Tokenizer) -> None:
    lengths: list[int] = []

    class Counting:
        def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
            lengths.append(len(ids))
            return demo.decode(ids, skip_special_tokens=skip_special_tokens)

    ids = demo.encode("The same words again and again. " * 100).ids
    TokenDecoder(Counting()).feed(ids)
    assert len(lengths) < 1.2 * len(ids)
    assert max(lengths) < 30
