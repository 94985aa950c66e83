"""The incident note of a rollback that runs here: its facts, as home, journal, watch and git have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uniassist.errors import SettingsError
from uniassist.release.env.services import merged
from uniassist.release.incident.facts import changed_names, commits_between, excerpt
from uniassist.release.incident.incident import (
    Changed,
    Commits,
    Excerpt,
    FailedProbe,
    Incident,
    IncidentFacts,
    Moment,
    Outcome,
    Revision,
    find,
    open_incident,
)
from uniassist.release.records import journal, trigger
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Release, env_of
from uniassist.release.records.runs import Run, progress_of
from uniassist.release.records.trigger import Fired
from uniassist.release.report.masking import Masker
from uniassist.settings.known_services import PROVIDER


@dataclass
class RollbackNote:
    """One note.

    leaving: what is rolled back from; None: nobody knows what ran.
    here: where git may be.
    """

    home: Home
    run: Run
    target: Release
    leaving: Release | None
    here: Path
    masker: Masker
    _logs: tuple[Excerpt, ...] = field(default=())

    def begin(self) -> Incident:
        """Before anything is stopped: the logs are still those of what failed. Asks git nothing."""
        before = find(self.home.directory, self.run.id)
        self._logs = before.facts.logs if before else self._excerpts()
        return open_incident(self.home.directory, self._facts("under way"), self.masker)

    def end(self, outcome: Outcome) -> Incident:
        """With all that is known at its end."""
        return open_incident(self.home.directory, self._facts(outcome, is_whole=True), self.masker)

    def _facts(self, outcome: Outcome, *, is_whole: bool = False) -> IncidentFacts:
        run, fired = self.run, self._fired()
        entries = journal.read(self.home.runs.folder(run.id) / journal.NAME)
        progress = progress_of(entries)
        verified = [entry.at for entry in entries if entry.step == "verify" and entry.kind == "observation"]
        return IncidentFacts(
            run=run.id,
            environment=run.environment,
            released=_revision(self.leaving) or Revision(run.previous_tag or "unknown"),
            target=Revision(self.target.tag, self.target.commit, self.target.env_digest),
            trigger=fired.reason if fired else f"by {run.who}{': ' + run.why if run.why else ''}",
            triggered_at=fired.triggered_at if fired else run.started_at,
            outcome=outcome,
            first_failed=self._first_failed(fired),
            verified_at=verified[-1] if verified and outcome == "verified" else None,
            left=tuple(f"{step}: {reason}" for step, reason in progress.failed.items()),
            changed=self._changed() if is_whole else None,
            commits=self._commits() if is_whole else None,
            logs=self._logs,
            timeline=tuple(Moment(entry.at, entry.kind, _said(entry)) for entry in entries),
        )

    def _fired(self) -> Fired | None:
        """What fired, if it is what this rollback was begun for."""
        fired = trigger.read(trigger.path_of(self.home.directory, self.run.environment))
        is_ours = fired is not None and fired.first_failed.at == self.run.first_failed_at
        return fired if is_ours else None

    def _first_failed(self, fired: Fired | None) -> FailedProbe | None:
        if fired is not None:
            seen = fired.first_failed
            return FailedProbe(seen.at, seen.service, seen.asked, seen.found)
        if self.run.first_failed_at is None:
            return None
        return FailedProbe(self.run.first_failed_at, "unknown", "", "as --first-failed-at says")

    def _changed(self) -> Changed | None:
        if self.leaving is None:
            return None
        try:
            return changed_names(env_of(self.target), env_of(self.leaving))
        except SettingsError:
            return None

    def _commits(self) -> Commits:
        return commits_between(self.here, self.target.commit, self.leaving.commit if self.leaving else None)

    def _excerpts(self) -> tuple[Excerpt, ...]:
        """Of services of this host, elsewhere their logs are where the operator keeps them; and of the watch."""
        services = self.home.own / "local" / "services"
        logs = ((service, services / service / "log") for service in _in_order(services))
        found = [excerpt(service, log, self.masker) for service, log in logs if log.exists()]
        fired = self._fired()
        return (*found, Excerpt("watch", "its log", tuple(fired.excerpts))) if fired else tuple(found)


def _in_order(folder: Path) -> tuple[str, ...]:
    """The services that are kept there, providers behind provider-plan."""
    return merged(each.name for each in sorted(folder.glob(f"{PROVIDER}*")))


def _revision(release: Release | None) -> Revision | None:
    return Revision(release.tag, release.commit, release.env_digest) if release else None


def _said(entry: journal.JournalEntry) -> str:
    failed = entry.found.get("failed")
    text = entry.text or entry.step
    return f"{text}: FAILED: {failed}" if failed else text
