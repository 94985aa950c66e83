"""Runs that aren't over: what may go on beside them, and how one is closed without being finished."""

from __future__ import annotations

from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.home import Home
from uniassist.release.records.journal import Journal
from uniassist.release.records.runs import Run, RunProgress
from uniassist.release.report.masking import Masker
from uniassist.release.walk import observation
from uniassist.release.walk.observation import Seen
from uniassist.release.walk.walk import end_run


def find(home: Home) -> tuple[Run, RunProgress] | None:
    """The last run, unless it is over."""
    run = home.runs.last(home.environment)
    if run is None:
        return None
    progress = home.runs.progress(run)
    return None if progress.condition == "finished" else (run, progress)


def said(run: Run, progress: RunProgress) -> str:
    """One sentence."""
    if progress.condition == "stopped":
        what = {"interrupted": "was interrupted", "incomplete": "is incomplete"}.get(
            progress.result or "", "stopped"
        )
        where = f" at {', '.join(progress.failed)}" if progress.failed else ""
        return f"the {run.kind} {run.id} {what}{where}"
    where = f" in the middle of {', '.join(progress.doubtful)}" if progress.doubtful else ""
    return f"the {run.kind} {run.id} was killed{where}"


def refuse_rollout(home: Home) -> None:
    """Refused with 31 beside any run that isn't over."""
    if found := find(home):
        raise Refused(
            ExitCode.UNFINISHED,
            f"{said(*found)}\n      next: uniassist release resume\n      safe: uniassist release rollback, "
            "or: uniassist release abort",
        )


def stopped(home: Home) -> Run | None:
    """A run that gives way to a rollback. Refused with 31 beside one that was killed: nobody has looked yet."""
    found = find(home)
    if found is not None and found[1].condition == "under way":
        raise Refused(
            ExitCode.UNFINISHED,
            f"{said(*found)}\n      next: uniassist release resume\n"
            "      safe: uniassist release abort, then: uniassist release rollback",
        )
    return found[0] if found else None


def supersede(home: Home, run: Run, masker: Masker) -> None:
    """Once what takes its place has begun: one of the two is unfinished at any time."""
    journal = Journal(home.runs.folder(run.id), masker, home.forgiving)
    journal.append("end", "run", text="superseded", found={"exitCode": run.exit_code, "result": "superseded"})


def abort(home: Home, run: Run, seen: Seen, masker: Masker) -> None:
    """Close it, and remember of each service what was seen: it may be what a killed step did."""
    journal = Journal(home.runs.folder(run.id), masker)
    ran = [
        (service, release.id)
        for service, observed in seen.items()
        for release in home.kept.all()
        if observation.runs(observed, release)
    ]

    def remembered(known: Deployed) -> Deployed:
        for service, release in ran:
            known = known.given(service, release)
        return known

    home.change(remembered)
    found = {"observed": [observation.document(observed) for observed in seen.values()]}
    journal.append("observation", "abort", found=found)
    code = run.exit_code if run.exit_code is not None else int(ExitCode.INTERRUPTED)
    journal.append("end", "run", text="aborted", found={"exitCode": code, "result": "aborted"})
    home.runs.write(end_run(run, code))
