"""`python -m tests.fuzz --seconds 600 --target all`: ends with 1 when something was found."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

from tests.fuzz.report import written
from tests.fuzz.search import Found, search
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=["all", *TARGETS], default="all")
    parser.add_argument("--seconds", type=float, default=600, help="for each target")
    parser.add_argument("--seed", type=int, default=int(dt.datetime.now(dt.UTC).timestamp()))
    parser.add_argument("--report", type=Path, help="a page of Markdown, written anew after each target")
    asked = parser.parse_args()
    found: list[Found] = []
    for name in TARGETS if asked.target == "all" else (asked.target,):
        found.append(search(name, TARGETS[name], seconds=asked.seconds, seed=asked.seed, say=print))
        last = found[-1]
        print(
            f"{name}: {last.executions} inputs in {last.seconds:.0f} s, {len(last.findings)} findings; the dearest "
            f"took {last.dearest:.2f} of what it may: {str(last.dearest_recipe)[:500]}",
            flush=True,
        )
        if asked.report is not None:
            asked.report.write_text(written(found, seed=asked.seed), "utf-8")
    return 1 if any(each.findings for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
