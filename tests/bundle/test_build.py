"""scripts/build.py with a stand-in for PyInstaller, which takes minutes."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from scripts.build import build
from scripts.bundle.options import Wish

STAND_IN = """\
#!/bin/sh
mkdir -p '{dist}/fluid-server' '{work}/fluid_server/licences'
touch '{dist}/fluid-server/half'
exit {code}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script of the shell")
@pytest.mark.parametrize("code", [0, 1])
def test_a_program_that_is_half_made_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    dist, work, python = tmp_path / "dist", tmp_path / "build", tmp_path / "python"
    python.write_text(STAND_IN.format(dist=dist, work=work, code=code), encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(CalledProcessError) if code else nullcontext():
        build(Wish(onefile=False, extras=frozenset(), models=True), dist, work)
    assert [file.name for file in dist.iterdir()] == ([] if code else ["fluid-server"])
