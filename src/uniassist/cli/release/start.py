"""`uniassist release start`."""

from __future__ import annotations

from uniassist.cli.release.on_a_site import ChangeOptions, taking
from uniassist.cli.release.screen import ended_with
from uniassist.release.rollback.target import refuse_another_driver
from uniassist.release.rollout.standstill import start_all


@taking(ChangeOptions)
def run(given: ChangeOptions) -> None:
    """Start what was released last, in rollout order, each healthy before the next. Needs no git, no network.

    Exit codes: 0 all are healthy, 2 nothing was released here, 12 one isn't, 30 locked, 31 an unfinished run.
    """
    with given.opened() as (screen, site):
        refuse_another_driver(site)
        code = start_all(site, given.asking(screen))
        screen.end_of(site, "release start", None, code)
    raise ended_with(code)
