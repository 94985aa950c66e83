"""The watch's process with a shorter cadence and a rollback of the test's own; else just as it is started."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import typer

from uniassist.cli.release.watch_process import watch_by
from uniassist.release.watch.order import WatchOptions
from uniassist.release.watch.triggers.samples import Cadence

CADENCE = Cadence(
    probe_seconds=0.1,
    probe_deadline_seconds=0.5,
    failing_seconds=2.0,
    silence_seconds=5.0,
    round_seconds=300.0,
    metrics_seconds=0.3,
    metrics_silence_seconds=20.0,
    flapping_seconds=20.0,
    heartbeat_seconds=0.2,
)


def main() -> None:
    home, on_trigger, thresholds, log, *rollback = sys.argv[1:]
    options = WatchOptions("staging", None, Path(home), "v42", "10m", on_trigger, Path(thresholds), None)
    try:
        watch_by(options, log, lambda order: replace(order, cadence=CADENCE, rollback=rollback))
    except typer.Exit as ended:
        sys.exit(ended.exit_code)


if __name__ == "__main__":
    main()
