"""The home of an environment's releases, beside the records: it lives where the services run.

<home>/releases/<id>/                   kept releases (kept.py)
<home>/runs/<run-id>/                   run.json and journal.jsonl of rollouts and rollbacks (runs.py, journal.py)
<home>/environments/<name>/             lock, deployed.json, plan.json
<home>/pins.json, commits/, runs/*.log  records (records.py)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uniassist.release import deployed
from uniassist.release.deployed import Deployed
from uniassist.release.kept import Kept
from uniassist.release.runs import Runs


class Home:
    """`directory` is that of the records; `environment` staging or prod."""

    def __init__(self, directory: Path, environment: str) -> None:
        self.directory = directory.absolute()
        self.environment = environment
        self.own = self.directory / "environments" / environment
        self.lock = self.own / "lock"
        self.plan = self.own / "plan.json"
        self.runs = Runs(self.directory)
        self.kept = Kept(self.directory)

    def deployed(self) -> Deployed:
        return deployed.read(self.own / "deployed.json")

    def change(self, changed: Callable[[Deployed], Deployed]) -> None:
        """Under the lock."""
        deployed.write(self.own / "deployed.json", changed(self.deployed()))

    def prune(self) -> list[str]:
        """Remove kept releases that no environment runs, goes back to or is in the middle of."""
        needed: set[str] = set()
        for run in self.runs.all(None):
            if self.runs.progress(run).condition != "finished":
                needed |= {run.target, run.previous or ""}
        for path in (self.directory / "environments").glob("*/deployed.json"):
            needed |= deployed.read(path).needed()
        return self.kept.prune(needed)
