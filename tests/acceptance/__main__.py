"""`python -m tests.acceptance run | faults | rollbacks`: the release campaigns; results in bench/results."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.acceptance import faults, first_release, report, rollbacks
from tests.acceptance.base import based

RESULTS = Path("bench") / "results"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    # Stopped either way, it takes its servers and services along.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "faults", "rollbacks", "report"])
    parser.add_argument("--count", type=int, default=20, help="of rollbacks")
    parser.add_argument("--share", default="1/1", help="of the faults: 1/3 is the first third")
    parser.add_argument("--only", default="", help="faults whose names hold one of these, separated by commas")
    parser.add_argument("--found", type=Path, default=RESULTS / "release-campaign.json")
    chosen = parser.parse_args()
    known = json.loads(chosen.found.read_text()) if chosen.found.exists() else {}
    if chosen.part != "report":
        with tempfile.TemporaryDirectory(prefix="uniassist-acceptance-") as folder:
            Path(folder).chmod(0o755)  # Postgres may run as another user
            if chosen.part == "run":
                known["run"] = first_release.campaign(Path(folder) / "site", say)
            else:
                megabytes = rollbacks.DISK_MEGABYTES if chosen.part == "rollbacks" else None
                with based(Path(folder) / "site", disk_megabytes=megabytes) as base:
                    before = known.get("faults", {})
                    parts = (
                        rollbacks.campaign(base, chosen.count, say)
                        if chosen.part == "rollbacks"
                        else (before | found for found in faults.campaign(base, chosen.share, chosen.only, say))
                    )
                    for found in parts:  # whatever comes next: what was found is kept
                        known[chosen.part] = found
                        keep(chosen.found, known)
    keep(chosen.found, known)
    report.write(known, RESULTS)


def keep(path: Path, known: dict[str, Any]) -> None:
    path.write_text(json.dumps(known, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
