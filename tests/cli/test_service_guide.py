"""docs/guides/service.md shows what can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fluid_server.cli.main import parser

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "service.md"
TYPED = re.compile(r"^(?:\| `|.*?)(fluid-server service [^`|\n]*)", re.MULTILINE)
COMMANDS = sorted({found.strip() for found in TYPED.findall(GUIDE.read_text(encoding="utf-8"))})


def test_the_guide_has_every_action() -> None:
    actions = {shlex.split(command)[2] for command in COMMANDS}
    assert actions == {"install", "status", "start", "stop", "restart", "logs", "remove"}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_guide_types_is_taken(command: str) -> None:
    own, _, server = command.partition(" -- ")
    typed = vars(parser().parse_args(shlex.split(own)[1:]))
    assert typed["verb"] == "service"
    parser().parse_args(["serve", *shlex.split(server)])
