"""A watch from its lock to its record, in whatever process it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uniassist import VERSION
from uniassist.release import interrupts
from uniassist.release.clock import now
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import Interrupted
from uniassist.release.records.recording import keep
from uniassist.release.records.records import Records
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.revision import git
from uniassist.release.watch.directory import WatchDirectory, WatchState
from uniassist.release.watch.order import WatchOptions, WatchOrder
from uniassist.release.watch.session import WatchSession


def watch(options: WatchOptions, order: WatchOrder, log: str, reporter: ReleaseReporter) -> ExitCode:
    """Watch, act on a trigger, and keep the record. `log`: the file in which its words are.

    Refused with 30 when somebody watches already.
    """
    directory = WatchDirectory(options.home, options.environment)
    started_at = now()
    with directory.locked():
        session = WatchSession(order, directory, log, reporter.say)
        try:
            code = interrupts.run(session.run(), reporter.say)
        except Interrupted:
            code = ExitCode.INTERRUPTED
            reporter.say("the watch was ended by a person: nobody watches now")
        document = _document(options, order, session.state, started_at, code)
        commit = git.names_of(Path.cwd(), options.revision).commit
        keep(reporter, Records(options.home), document, commit)
    return code


def _document(
    options: WatchOptions, order: WatchOrder, state: WatchState, started_at: str, code: ExitCode
) -> dict[str, Any]:
    return {
        "command": "release watch",
        "environment": order.environment,
        "result": state.ended,
        "exitCode": int(code),
        "startedAt": started_at,
        "endedAt": now(),
        "revision": options.revision,
        "roundsOk": state.rounds_ok,
        "alerts": state.alerts,
        "trigger": _trigger(state),
        "toolVersion": VERSION,
    }


def _trigger(state: WatchState) -> dict[str, Any] | None:
    fired = state.fired
    if fired is None:
        return None
    return {
        "kind": fired.kind,
        "subject": fired.subject,
        "reason": fired.reason,
        "triggeredAt": fired.triggered_at,
        "firstFailedAt": fired.first_failed.at,
        "evidence": list(fired.evidence),
    }
