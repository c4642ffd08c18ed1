"""Embeddings: every form of input, every form of vector, and what cannot be embedded."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import Group
from scripts.contract.case import EMBED, Ask, Case
from scripts.contract.checks import all_of
from scripts.contract.checks_embeddings import cut_to, embedded, in_base64, like_first

VECTORS = Group("embeddings", "embeddings")
WRONG = Group("wrong embeddings", "embeddings")
OURS = Group("beyond OpenAI's contract: embeddings", "beyond OpenAI's contract", ours=True)
TEXT, OTHER = "The kitchen light is on.", "Alice lives in Rome, and has done so for forty-two years."
IDS, FURTHER = [5, 6, 7, 8], [9, 10]


def embed(text: Any = TEXT, **fields: Any) -> Ask:
    """A text to be embedded; a field that is ``...`` is left out."""
    body = {"input": text, **fields}
    return Ask(path=EMBED, body={name: value for name, value in body.items() if value is not ...})


def refused(name: str, about: str, **fields: Any) -> Case:
    """Embeddings with a value that cannot be right."""
    return WRONG.wrong(name, embed(**fields), about=about)


EMBEDDED: tuple[Case, ...] = (
    VECTORS.case("one text × embeddings", "a vector of length 1", embed(), check=embedded(1), about="input"),
    VECTORS.case(
        "several texts × embeddings", "a vector of each in order", embed(), embed([OTHER, TEXT, OTHER]),
        check=all_of(embedded(3), like_first(1)), about="input",
    ),
    VECTORS.case(
        "the same text twice × embeddings", "the same vector", embed(), embed([TEXT, TEXT]),
        check=all_of(embedded(2), like_first(0, 1)), about="input",
    ),
    VECTORS.case("token ids × embeddings", "a vector", embed(IDS), check=embedded(1), about="input"),
    VECTORS.case(
        "lists of token ids × embeddings", "a vector of each in order", embed(IDS), embed([FURTHER, IDS]),
        check=all_of(embedded(2), like_first(1)), about="input",
    ),
    VECTORS.case(
        "as many inputs as may be × embeddings", "a vector of each", embed([f"{one}" for one in range(2048)]),
        check=embedded(2048), about="input",
    ),
    VECTORS.case(
        "encoding_format of float × embeddings", "numbers", embed(), embed(encoding_format="float"),
        check=all_of(embedded(1), like_first(0)), about="encoding_format",
    ),
    VECTORS.case(
        "encoding_format of base64 × embeddings", "the same numbers, packed", embed(),
        embed(encoding_format="base64"), check=all_of(embedded(1), in_base64), about="encoding_format",
    ),
    VECTORS.case(
        "dimensions × embeddings", "the vector's beginning", embed(), embed(dimensions=8), check=cut_to(8),
        about="dimensions",
    ),
    VECTORS.case(
        "dimensions × base64", "the vector's beginning, packed", embed(),
        embed(dimensions=8, encoding_format="base64"), check=cut_to(8), about="dimensions",
    ),
    VECTORS.case("user × embeddings", "it is taken", embed(user="someone"), check=embedded(1), about="user"),
    refused("embeddings without input", "input", text=...),
    refused("embeddings of an empty text", "input", text=""),
    refused("embeddings of no text", "input", text=[]),
    refused("embeddings with an empty text among others", "input", text=[TEXT, ""]),
    refused("embeddings of no tokens", "input", text=[[]]),
    refused("embeddings of a number", "input", text=5),
    refused("embeddings of texts and token ids", "input", text=[TEXT, 5]),
    refused("embeddings of more than 2048 texts", "input", text=["a"] * 2049),
    refused("embeddings of a token that is none", "input", text=[2**31 - 1]),
    WRONG.wrong(
        "embeddings of a text that is too long", embed("light " * 100_000), about="input",
        code="context_length_exceeded",
    ),
    refused("encoding_format that is none", "encoding_format", encoding_format="hex"),
    refused("dimensions of 0", "dimensions", dimensions=0),
    refused("more dimensions than there are", "dimensions", dimensions=1_000_000),
    refused("stream × embeddings", "stream", stream=True),
    refused("an unknown field × embeddings", "inputs", inputs=TEXT),
    WRONG.wrong("embeddings of a model that is not there", embed(model="no-such-model"), about="model", status=404),
)  # fmt: skip

EMBEDDED_EXTRAS: tuple[Case, ...] = (
    OURS.case("keep_alive × embeddings", "it is taken", embed(keep_alive="5m"), check=embedded(1), about="keep_alive"),
)
