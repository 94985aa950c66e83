"""What a bundle of evidence is about: a release, the rollout that made it, the rollback that undid it.

A release by the runbook's literal commands has neither run, and is found by its tag or commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniassist.release.exit_codes import UsageRefused
from uniassist.release.incident.incident import Revision
from uniassist.release.records.kept_releases import KeptReleases
from uniassist.release.records.order import Moment
from uniassist.release.records.records import Records
from uniassist.release.records.runs import Run, Runs, plain
from uniassist.release.revision import git


@dataclass(frozen=True)
class EvidenceSubject:
    """A release, and what became of it.

    previous: what it rolls back to.
    is_first: nothing was released before it.
    until: when something else was rolled out over it.
    """

    name: str
    environment: str
    released: Revision
    previous: Revision | None
    is_first: bool
    rollout: Run | None = None
    rollback: Run | None = None
    until: Moment | None = None

    @property
    def since(self) -> Moment | None:
        run = self.rollout or self.rollback
        return run.moment if run else None

    @property
    def ends(self) -> Moment | None:
        """When it ran no more: rolled back from, or rolled over."""
        return self.rollback.moment if self.rollback else self.until

    @property
    def database(self) -> str | None:
        """The one that its services use, where it is known."""
        return self.rollout.database if self.rollout else None


def resolve(directory: Path, here: Path, environment: str, name: str) -> EvidenceSubject:
    """`name`: a run, a tag or a commit. UsageRefused when nothing is recorded of it."""
    runs = Runs(directory).all(environment)
    run = next((run for run in runs if run.id == name), None)
    if run is None:
        run = next((run for run in reversed(runs) if run.kind == "rollout" and run.target_tag == name), None)
    if run is not None:
        return _of_run(KeptReleases(directory), runs, run)
    return _of_commit(Records(directory), here, environment, name, runs)


def _of_run(kept: KeptReleases, runs: list[Run], run: Run) -> EvidenceSubject:
    rollouts = [other for other in runs if other.kind == "rollout"]
    if run.kind == "rollback":
        made = [other for other in rollouts if other.target == run.previous and other.moment.before(run.moment)]
        rollout, rollback = (made[-1] if made else None), run
    else:
        rollout, rollback = run, None
    later = [other for other in rollouts if rollout and rollout.moment.before(other.moment)]
    until = later[0].moment if later else None
    if rollback is None:
        undone = [
            other
            for other in runs
            if other.kind == "rollback" and other.previous == run.target and not other.moment.before(run.moment)
        ]
        rollback = next((other for other in undone if until is None or other.moment.before(until)), None)
    release, tag = (rollout.target, rollout.target_tag) if rollout else (run.previous, run.previous_tag)
    back, back_tag = (rollback.target, rollback.target_tag) if rollback else (run.previous, run.previous_tag)
    return EvidenceSubject(
        name=(rollout or run).id,
        environment=run.environment,
        released=_revision(kept, release, tag) or Revision("unknown"),
        previous=_revision(kept, back, back_tag),
        is_first=back is None,
        rollout=rollout,
        rollback=rollback,
        until=until,
    )


def _revision(kept: KeptReleases, release: str | None, tag: str | None) -> Revision | None:
    """None without a release; of one that isn't kept any more only its tag is known."""
    if release is None:
        return None
    found = kept.find(release)
    return Revision(found.tag, found.commit, found.env_digest) if found else Revision(tag or release)


def _of_commit(records: Records, here: Path, environment: str, name: str, runs: list[Run]) -> EvidenceSubject:
    commit = records.pins().get(name) or git.names_of(here, name).commit or name
    known = records.of_commit(commit) if "/" not in commit else {}
    if not known:
        last = ", ".join(run.id for run in reversed(runs[-5:])) or "none"
        raise UsageRefused(f"{name}: no run, and nothing recorded of such a tag or commit; the last runs: {last}")
    preflight = known.get("preflight", {})
    previous = preflight.get("previousCommit")
    return EvidenceSubject(
        name=plain(name),
        environment=environment,
        released=Revision(str(preflight.get("tag") or name), commit, preflight.get("envDigest")),
        previous=Revision(_tag_of(records, previous), previous) if previous else None,
        is_first="previousCommit" in preflight and previous is None,
    )


def _tag_of(records: Records, commit: str) -> str:
    return next((tag for tag, pinned in records.pins().items() if pinned == commit), commit[:12])
