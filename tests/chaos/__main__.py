"""`python -m tests.chaos --seconds 600 --seed 7 --report bench/results/chaos.md`. Exits 1 on any finding.

With `--mutant NAME` (or `all`) the workers run a copy of the source with a seeded bug, until the first finding; it
exits 1 where there is none. `--mutant list` names them.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import mutants
from tests.chaos.report import report
from tests.chaos.run import Asked, Outcome, run

MUTANT_SECONDS = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, help="of faults; 600, and with a mutant at most 120")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument(
        "--pause", type=float, help="mean seconds between two faults of an injector; 4, mutants 1.2"
    )
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside the run")
    parser.add_argument("--mutant", help="a name of tests/chaos/mutants, `all` or `list`")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    asked = parser.parse_args()
    if asked.mutant == "list":
        print("\n".join(f"{name}: {mutants.named(name).why}" for name in mutants.names()))
        return 0
    if asked.mutant is not None:
        text, passed = _mutants(mutants.names() if asked.mutant == "all" else [asked.mutant], asked)
    else:
        outcome = _run(Asked(asked.seconds or 600.0, asked.seed, asked.pause or 4.0, asked.busy), keep=asked.keep)
        text, passed = report(outcome), outcome.clean
    print(text)
    if asked.report is not None:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(text, "utf-8")
    return 0 if passed else 1


def _run(asked: Asked, *, keep: bool, mutant: mutants.Mutant | None = None) -> Outcome:
    # Not below a private folder: Postgres runs as another user when we are root.
    directory = Path(tempfile.mkdtemp(prefix="uniassist-chaos-"))
    directory.chmod(0o755)
    print(f"seed {asked.seed}, logs in {directory}", file=sys.stderr)
    if mutant is not None:
        asked = dataclasses.replace(asked, source=mutant.made_in(directory), until_found=True)
    outcome = asyncio.run(run(directory, asked))
    if not keep and (outcome.clean or mutant is not None):
        shutil.rmtree(directory, ignore_errors=True)
    return outcome


def _mutants(names: list[str], options: argparse.Namespace) -> tuple[str, bool]:
    """The page about them, and whether each was noticed."""
    seconds, pause_seconds = options.seconds or MUTANT_SECONDS, options.pause or 1.2
    asked = Asked(seconds, options.seed, pause_seconds, options.busy)
    lines = [
        "# Chaos runs of mutants",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, seed {options.seed}, at most {seconds:.0f} s of faults each. Repeat with "
        f"`python -m tests.chaos --mutant NAME --seconds {seconds:.0f} --seed {options.seed} "
        f"--pause {pause_seconds:g}`.",
        "",
        "| mutant | what is wrong with it | noticed after | by |",
        "|---|---|---|---|",
    ]
    unnoticed = 0
    for name in names:
        mutant = mutants.named(name)
        outcome = _run(asked, keep=options.keep, mutant=mutant)
        unnoticed += outcome.clean
        lines.append(f"| `{name}` | {mutant.why} | {_when(outcome)} | {_what(outcome)} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n", unnoticed == 0


def _when(outcome: Outcome) -> str:
    if outcome.clean:
        return "NOT NOTICED"
    if outcome.found_after_seconds is None:
        return f"the {outcome.asked.seconds:.0f} s, at the end"
    return f"{outcome.found_after_seconds:.0f} s"


def _what(outcome: Outcome) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in outcome.counts.items() if count)


if __name__ == "__main__":
    sys.exit(main())
