"""Make what a release consists of.

uv run scripts/package.py program dist/fluid-server   archive, checksum and bill of materials of a built program
uv run scripts/package.py sums FOLDER                 SHA256SUMS over all files of a folder
uv run scripts/package.py notes [--tag v1.2.3]        what CHANGELOG.md says of this version
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # scripts is no package that is installed

from fluid_server import __version__  # noqa: E402 - after the path is set
from scripts.interrupted import ends_in_a_line  # noqa: E402
from scripts.shipping.archive import archive, platform_name, sha256, write_sums  # noqa: E402
from scripts.shipping.notes import check_tag, release_notes  # noqa: E402
from scripts.shipping.sbom import environment_sbom, packages_in, sbom_of  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one of the three; a failure is one line on stderr."""
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"package: {error}", file=sys.stderr)
        return 1


def program(given: argparse.Namespace) -> int:
    """The archive of a built program, and beside it its checksum and its bill of materials: all of them, or none."""
    name = f"fluid-server-{__version__}-{platform_name()}"
    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=given.out) as folder:
        made = archive(given.folder, Path(folder), name, as_zip=sys.platform == "win32", moment=_moment())
        sums = made.with_name(f"{made.name}.sha256")
        sums.write_text(f"{sha256(made)}  {made.name}\n", encoding="utf-8", newline="\n")
        files = [made, sums]
        if given.sbom:
            files.append(_bill(Path(folder, f"{name}.cdx.json"), given.folder))
        for file in files:
            print(f"{file.replace(given.out / file.name)}  {(given.out / file.name).stat().st_size / 1000**2:.1f} MB")
    return 0


def _bill(file: Path, program: Path) -> Path:
    inside = packages_in(program)
    found = sbom_of(environment_sbom(), inside)
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return file


def sums(given: argparse.Namespace) -> int:
    """Checksums of all that a release has."""
    print(write_sums(given.folder))
    return 0


def notes(given: argparse.Namespace) -> int:
    """The release's text, on stdout; with a tag, which must be the version's, nothing that is not released will do."""
    if given.tag:
        check_tag(given.tag, __version__)
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sys.stdout.write(release_notes(text, __version__, dry_run=not given.tag))
    return 0


def _moment() -> int:
    """The time that files get: of SOURCE_DATE_EPOCH (reproducible-builds.org), else of the commit, else now."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:  # there is no git
        return int(time.time())
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else int(time.time())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(required=True, metavar="WHAT")
    one = verbs.add_parser("program", help="archive a built program, with checksum and bill of materials")
    one.add_argument("folder", type=Path, help="what scripts/build.py has made: dist/fluid-server")
    one.add_argument("--out", type=Path, default=ROOT / "build" / "release", help="where to (build/release)")
    one.add_argument("--no-sbom", dest="sbom", action="store_false", help="without the bill of materials")
    one.set_defaults(run=program)
    two = verbs.add_parser("sums", help="write SHA256SUMS over a folder's files")
    two.add_argument("folder", type=Path)
    two.set_defaults(run=sums)
    three = verbs.add_parser("notes", help="print what CHANGELOG.md says of this version")
    three.add_argument("--tag", help="the release's tag: must be v and the version")
    three.set_defaults(run=notes)
    return top


if __name__ == "__main__":
    sys.exit(ends_in_a_line("package", main))
