"""`python -m tests.wechat_soak --seed 7 --report bench/results/wechat-soak.md`. Exits 1 on any finding."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.wechat_soak.report import report
from tests.wechat_soak.run import Plan, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.wechat_soak", description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=10, help="of each person")
    parser.add_argument("--at-once", type=int, default=80, help="people who write at the same time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    asked = parser.parse_args()
    # Not below a private folder: Postgres runs as another user when we are root.
    directory = Path(tempfile.mkdtemp(prefix="uniassist-wechat-soak-"))
    directory.chmod(0o755)
    print(f"seed {asked.seed}, logs in {directory}", file=sys.stderr)
    plan = Plan(people=asked.people, messages=asked.messages, at_once=asked.at_once, seed=asked.seed)
    outcome = asyncio.run(run(directory, plan))
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
