"""What a client tells a model that hears before it listens: a prompt, keywords. Blank ones tell it nothing."""

from __future__ import annotations

from collections.abc import Iterable


def hint(text: str | None) -> str | None:
    """The text as it was sent; None where there is nothing in it. Even a lone space would move what a model hears."""
    return text if text and not text.isspace() else None


def hints(words: Iterable[str] | None) -> tuple[str, ...]:
    """The words that say anything."""
    return tuple(word for word in words or () if hint(word))
