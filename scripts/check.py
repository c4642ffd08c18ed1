"""Check the project: format, lint, types, tests. CI runs this and nothing else.

uv run scripts/check.py              all steps; the first failure ends it
uv run scripts/check.py lint types   only these
uv run scripts/check.py --fix        format and fix what can be fixed, then check the rest
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # scripts is no package that is installed

from scripts.interrupted import attended, ends_in_a_line  # noqa: E402 - after the path is set

STEPS = {
    "format": ["ruff", "format", "--check"],
    "lint": ["ruff", "check"],
    "ty": ["ty", "check"],
    "mypy": ["mypy"],
    "tests": ["pytest"],
}
FIXING = {"format": ["ruff", "format"], "lint": ["ruff", "check", "--fix"]}
GROUPS = {"types": ["ty", "mypy"]}
NAMES = [*STEPS, *GROUPS]


def step_name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"no step is called '{text}': choose from {', '.join(NAMES)}")
    return text


def chosen(names: list[str], with_tests: bool) -> list[str]:
    """The steps asked for, in our order; all of them where none was named."""
    wanted = {step for name in names for step in GROUPS.get(name, [name])} or set(STEPS)
    return [step for step in STEPS if step in wanted and (with_tests or step != "tests")]


def passes(step: str, fix: bool) -> bool:
    command = FIXING.get(step, STEPS[step]) if fix else STEPS[step]
    print(f"== {step}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    code = attended([sys.executable, "-m", *command], ROOT)
    verdict = "ok" if code == 0 else f"failed with exit code {code}"
    print(f"== {step}: {verdict} after {time.monotonic() - started:.1f} s\n", flush=True)
    return code == 0


def run(steps: list[str], fix: bool, keep_going: bool) -> list[str]:
    """The steps that failed."""
    failed: list[str] = []
    for step in steps:
        if not passes(step, fix):
            failed.append(step)
            if not keep_going:
                break
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", type=step_name, metavar="STEP", help=", ".join(NAMES))
    parser.add_argument("--fix", action="store_true", help="format, and fix what ruff can fix")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--no-tests", action="store_true", help="leave the tests out")
    args = parser.parse_args()
    failed = run(chosen(args.steps, not args.no_tests), args.fix, args.keep_going)
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(ends_in_a_line("check", main))
