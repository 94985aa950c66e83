"""`python -m tests.chaos --seconds 600 --seed 7 --report bench/results/chaos.md`. Exits 1 on any finding."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.report import report
from tests.chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--pause", type=float, default=4.0, help="mean seconds between two faults of an injector")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    asked = parser.parse_args()
    # Not below a private folder: Postgres runs as another user when we are root.
    directory = Path(tempfile.mkdtemp(prefix="uniassist-chaos-"))
    directory.chmod(0o755)
    print(f"seed {asked.seed}, logs in {directory}", file=sys.stderr)
    outcome = asyncio.run(run(directory, seconds=asked.seconds, seed=asked.seed, pause_seconds=asked.pause))
    text = report(outcome)
    print(text)
    if asked.report is not None:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(text, "utf-8")
    if outcome.clean and not asked.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
