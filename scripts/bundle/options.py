"""What kind of program is asked for: the flags that ``scripts/build.py`` and the spec share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bundle.contents import EXTRAS


@dataclass(frozen=True, slots=True)
class Wish:
    """``onefile``: one file instead of a folder; ``extras`` are names of EXTRAS; ``models``: with the demo models."""

    onefile: bool
    extras: frozenset[str]
    models: bool

    def flags(self) -> list[str]:
        """The command line that means this."""
        return [
            *(["--onefile"] if self.onefile else []),
            *(f"--with-{extra}" for extra in sorted(self.extras)),
            *([] if self.models else ["--no-models"]),
        ]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a Wish."""
    parser.add_argument("--onefile", action="store_true", help="a single file, which unpacks itself at every start")
    for extra, brings in EXTRAS.items():
        parser.add_argument(f"--with-{extra}", action="store_true", help=f"with {brings}")
    parser.add_argument("--no-models", action="store_true", help="without the demo models")


def wish_of(given: argparse.Namespace) -> Wish:
    """What was typed."""
    return Wish(
        onefile=given.onefile,
        extras=frozenset(extra for extra in EXTRAS if getattr(given, f"with_{extra}")),
        models=not given.no_models,
    )


def wish(arguments: Sequence[str]) -> Wish:
    """The same from a command line; wrong usage ends the program, as argparse does."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return wish_of(parser.parse_args(arguments))
