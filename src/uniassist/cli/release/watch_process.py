"""The process that watches: `python -m uniassist.cli.release.watch_process`, started by `uniassist release watch`.

It is one of its own, in a session of its own, since a watch outlives the terminal and the command that started it.
Its output is the watch's log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from uniassist.cli.release.screen import Screen, ended_with, ending
from uniassist.release.env.environment import Environment
from uniassist.release.watch.order import WatchOptions, WatchOrder, order_of
from uniassist.release.watch.recorded import watch


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
    options = WatchOptions(env, env_file, state_dir, rev, duration, on_trigger, thresholds, rolled_out_at)
    watch_by(replace(options, driver=driver, driver_file=driver_file), log)


def watch_by(
    options: WatchOptions, log: str, change: Callable[[WatchOrder], WatchOrder] = lambda order: order
) -> None:
    """Ends with typer.Exit and the documented code. `change`: to watch by other rules than a release's."""
    with ending():
        environment = Environment.load(options.environment, options.env_file)
    with ending(environment.masker.mask):
        order = change(order_of(options, environment))
        code = watch(options, order, log, Screen(environment.masker, as_json=False))
    raise ended_with(code)


if __name__ == "__main__":
    typer.run(run)
