"""The incident note that a rollback opens when it begins, and brings up to date when it ends."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release_context import Context
from uniassist.errors import StartError
from uniassist.release import incident, incident_facts, journal
from uniassist.release.drivers.driver import Release
from uniassist.release.exit_codes import ExitCode
from uniassist.release.incident import Excerpt, Facts, FailedProbe, Moment, Outcome, Revision
from uniassist.release.kept import env_of
from uniassist.release.observation import SERVICES
from uniassist.release.runs import Run
from uniassist.release.steps import now
from uniassist.release.watch.directory import Fired, WatchDirectory

_OUTCOMES: dict[ExitCode | None, Outcome] = {
    None: "under way",
    ExitCode.ROLLED_BACK: "verified",
    ExitCode.ROLLBACK_INCOMPLETE: "incomplete",
}


def note(
    context: Context, run: Run, target: Release, leaving: Release | None, code: ExitCode | None = None
) -> None:
    """`code` None: it begins. That a note can't be written is said, and stops no rollback."""
    try:
        incident.open_incident(
            context.home.directory, _facts(context, run, target, leaving, code), context.environment.mask
        )
    except StartError as error:
        context.screen.say(f"NO incident note: {error}")
        return
    if code is not None:
        context.screen.say(f'then: uniassist release incident close {run.id} --cause "…"')


def _facts(context: Context, run: Run, target: Release, leaving: Release | None, code: ExitCode | None) -> Facts:
    entries = journal.read(context.home.runs.folder(run.id) / journal.NAME)
    fired = _fired(context, run)
    is_over = code is not None
    return Facts(
        run=run.id,
        environment=run.environment,
        released=_revision(leaving) if leaving else Revision(run.previous_tag or "unknown"),
        target=_revision(target),
        trigger=fired.reason if fired else f"{run.who}: {run.why or 'no reason given'}",
        triggered_at=fired.triggered_at if fired else run.started_at,
        outcome=_OUTCOMES[code],
        first_failed=_probe(run, fired),
        verified_at=now() if code is ExitCode.ROLLED_BACK else None,
        left=tuple(f"{e.step}: {e.found['failed']}" for e in entries if "failed" in e.found) if is_over else (),
        changed=incident_facts.changed_names(env_of(target), env_of(leaving)) if leaving else None,
        commits=incident_facts.commits_between(Path.cwd(), target.commit, leaving.commit) if leaving else None,
        logs=_logs(context, fired),
        timeline=tuple(Moment(e.at, e.kind, f"{e.step}: {e.text or _said(e)}") for e in entries),
    )


def _fired(context: Context, run: Run) -> Fired | None:
    """What the watch saw, if it was that which began this rollback."""
    fired = WatchDirectory(context.home.directory, context.home.environment).trigger()
    return fired if fired is not None and fired.first_failed.at == run.first_failed_at else None


def _probe(run: Run, fired: Fired | None) -> FailedProbe | None:
    if fired is not None:
        failed = fired.first_failed
        return FailedProbe(failed.at, failed.service, failed.asked, failed.found)
    if run.first_failed_at is not None:
        return FailedProbe(run.first_failed_at, "unknown", "given by --first-failed-at", run.why)
    return None


def _logs(context: Context, fired: Fired | None) -> tuple[Excerpt, ...]:
    """Of services that are logged on this host, and of the watch."""
    folder = context.home.own / context.driver.name / "services"
    paths = [(service, folder / service / "log") for service in SERVICES]
    found = [
        incident_facts.excerpt(service, path, context.environment.mask) for service, path in paths if path.exists()
    ]
    watched = [Excerpt("watch", "its log", tuple(fired.excerpts))] if fired else []
    return (*found, *watched)


def _revision(release: Release) -> Revision:
    return Revision(release.tag, release.commit, release.env_digest)


def _said(entry: journal.Entry) -> str:
    failed = entry.found.get("failed")
    if failed is not None:
        return f"failed: {failed}"
    if "seconds" in entry.found:
        return f"done in {entry.found['seconds']} s"
    observed = entry.found.get("observed")
    return f"is {observed.get('revision', 'stopped')}" if isinstance(observed, dict) else ""
