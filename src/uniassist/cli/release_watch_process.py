"""The process that watches: `python -m uniassist.cli.release_watch_process`, started by `uniassist release watch`.

In a session of its own, so that it outlives the terminal; its output is the watch's log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from uniassist import VERSION
from uniassist.cli.release_environment import Environment, Screen, ended_with, ending, keep, records_in
from uniassist.cli.release_watch_order import Options, order_of
from uniassist.release import interrupts, revisions
from uniassist.release.exit_codes import ExitCode
from uniassist.release.interrupts import Interrupted
from uniassist.release.steps import now
from uniassist.release.watch.directory import WatchDirectory
from uniassist.release.watch.session import Order, Session


def run(
    state_dir: Annotated[Path, typer.Option("--state-dir")],
    log: Annotated[str, typer.Option("--log")],
    duration: Annotated[str, typer.Option("--for")],
    on_trigger: Annotated[str, typer.Option("--on-trigger")],
    rev: Annotated[str | None, typer.Option("--rev")] = None,
    env: Annotated[str, typer.Option("--env")] = "staging",
    env_file: Annotated[Path | None, typer.Option("--env-file")] = None,
    thresholds: Annotated[Path | None, typer.Option("--thresholds")] = None,
    rolled_out_at: Annotated[str | None, typer.Option("--rolled-out-at")] = None,
    driver: Annotated[str, typer.Option("--driver")] = "local",
    driver_file: Annotated[Path | None, typer.Option("--driver-file")] = None,
) -> None:
    """Watch, act, and keep the record."""
    options = Options(env, env_file, state_dir, rev, duration, on_trigger, thresholds, rolled_out_at)
    watch(replace(options, driver=driver, driver_file=driver_file), log)


def watch(options: Options, log: str, change: Callable[[Order], Order] = lambda order: order) -> None:
    """Ends with typer.Exit and the documented code. `change`: to watch by other rules than a release's."""
    with ending():
        environment = Environment.load(options.environment, options.env_file)
    with ending(environment.mask):
        order = change(order_of(options, environment))
        screen = Screen(environment.mask, as_json=False)
        directory = WatchDirectory(options.home, options.environment)
        started_at = now()
        with directory.locked():
            session = Session(order, directory, log, screen.say)
            try:
                code = interrupts.run(session.run(), screen.say)
            except Interrupted:
                code = ExitCode.INTERRUPTED
                screen.say("the watch was ended by a person: nobody watches now")
            _keep(options, order, session, screen, started_at, code)
    raise ended_with(code)


def _keep(
    options: Options, order: Order, session: Session, screen: Screen, started_at: str, code: ExitCode
) -> None:
    state = session.state
    document: dict[str, Any] = {
        "command": "release watch",
        "environment": order.environment,
        "result": state.ended,
        "exitCode": int(code),
        "startedAt": started_at,
        "endedAt": now(),
        "revision": options.revision,
        "roundsOk": state.rounds_ok,
        "alerts": state.alerts,
        "trigger": fired_document(session),
        "toolVersion": VERSION,
    }
    commit = revisions.names_of(Path.cwd(), options.revision).commit
    keep(screen, records_in(options.home), document, commit)


def fired_document(session: Session) -> dict[str, Any] | None:
    fired = session.state.fired
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


if __name__ == "__main__":
    typer.run(run)
