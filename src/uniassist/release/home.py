"""The home of an environment's releases, beside the records: it lives where the services run.

<home>/releases/<id>/                   kept releases (kept.py)
<home>/runs/<run-id>/                   run.json and journal.jsonl of rollouts and rollbacks (runs.py, journal.py)
<home>/environments/<name>/             lock, deployed.json, plan.json
<home>/pins.json, commits/, runs/*.log  records (records.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

    def prune(self, running: Iterable[str]) -> list[str]:
        """Remove kept releases that no environment needs; `running` are ids that were observed."""
        needed = set(running)
        for path in (self.directory / "environments").glob("*/deployed.json"):
            needed |= deployed.read(path).needed()
        return self.kept.prune(needed)
