"""The home of an environment's releases, beside the records: it lives where the services run.

<home>/releases/<id>/                   kept releases (kept_releases.py)
<home>/runs/<run-id>/                   run.json and journal.jsonl of rollouts and rollbacks (runs.py, journal.py)
<home>/environments/<name>/             lock, deployed.json, plan.json
<home>/pins.json, commits/, runs/*.log  records (records.py)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uniassist.errors import StartError
from uniassist.release.records import deployed
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.forgiving import Forgiving
from uniassist.release.records.kept_releases import KeptReleases
from uniassist.release.records.runs import Runs


class Home:
    """`directory` is that of the records; `environment` staging or prod."""

    def __init__(self, directory: Path, environment: str) -> None:
        self.directory = directory.absolute()
        self.environment = environment
        self.own = self.directory / "environments" / environment
        self.lock = self.own / "lock"
        self.plan = self.own / "plan.json"
        self.runs = Runs(self.directory)
        self.kept = KeptReleases(self.directory)
        self.forgiving: Forgiving | None = None
        self._unwritten: Deployed | None = None

    def forgive(self, say: Callable[[str], None]) -> Forgiving:
        """From now on a record that can't be written is said, and nothing stops for it."""
        self.forgiving = self.forgiving or Forgiving(say)
        return self.forgiving

    def deployed(self) -> Deployed:
        """What is on the disk; of a forgiving home what should be there."""
        if self._unwritten is not None:
            return self._unwritten
        return deployed.read(self.own / "deployed.json")

    def change(self, changed: Callable[[Deployed], Deployed]) -> None:
        """Under the lock. StartError when it can't be written, but of a forgiving home."""
        made, path = changed(self.deployed()), self.own / "deployed.json"
        if self.forgiving is None:
            deployed.write(path, made)
            return
        try:
            deployed.write(path, made, anyhow=True)
            self._unwritten = None
        except StartError as error:
            self._unwritten = made
            self.forgiving.lose(error)

    def prune(self) -> list[str]:
        """Remove kept releases that no environment runs, goes back to or is in the middle of."""
        needed: set[str] = set()
        for run in self.runs.all(None):
            if self.runs.progress(run).condition != "finished":
                needed |= {run.target, run.previous or ""}
        for path in (self.directory / "environments").glob("*/deployed.json"):
            needed |= deployed.read(path).needed()
        return self.kept.prune(needed)
