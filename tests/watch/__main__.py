"""`python -m tests.watch --report bench/results/watch.md`: false triggers and delays. Exits 1 on any finding."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.watch.campaign import Outcome, campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.watch", description=__doc__)
    parser.add_argument("--healthy", type=int, default=300)
    parser.add_argument("--faulty", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    began = time.monotonic()
    outcome = campaign(healthy=asked.healthy, faulty=asked.faulty, seed=asked.seed)
    text = report(outcome, asked.seed)
    print(text)
    print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
    if asked.report is not None:
        asked.report.write_text(text, "utf-8")
    return 0 if outcome.clean else 1


def report(outcome: Outcome, seed: int) -> str:
    delays = sorted(outcome.delays)
    lines = [
        "# Watch on a virtual clock",
        "",
        f"{'Passed' if outcome.clean else 'FAILED'}, {datetime.now(UTC):%Y-%m-%d}. Repeat with "
        f"`python -m tests.watch --healthy {outcome.healthy} --faulty {outcome.faulty} --seed {seed}`. The "
        "product's own loop and judge with the release's own intervals, over simulated services; each window lasts "
        "15 minutes.",
        "",
        "| | aim | found |",
        "|---|---|---|",
        f"| triggers in {outcome.healthy} healthy windows | 0 | {len(outcome.false)} |",
        f"| {outcome.faulty} faulty windows: not fired, wrong cause, or another time than the oracle's | 0 "
        f"| {len(outcome.missed)} |",
    ]
    if delays:
        lines.append(
            f"| first failed probe → health trigger, {len(delays)} windows, least / median / most "
            f"| 180 to 187 s | {delays[0]:.2f} / {delays[len(delays) // 2]:.2f} / {delays[-1]:.2f} s |"
        )
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.kinds.items()))
    lines += [
        "",
        f"{outcome.probes} probes, {outcome.failed_probes} failed; {outcome.alerts} alerts; fired: {kinds}. "
        "Healthy windows hold slow and hanging answers, single failures, failures of up to 165 s, flapping, "
        "outages of Postgres or Redis of up to 400 s, times without a network, a failed round, drills, a few dead "
        "letters.",
    ]
    if findings := outcome.false + outcome.missed:
        lines += ["", "First findings:", "", *(f"- {found}" for found in findings[:10])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
