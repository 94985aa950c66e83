"""`uniassist release stop`."""

from __future__ import annotations

from uniassist.cli.release.on_a_site import ChangeOptions, taking
from uniassist.cli.release.screen import ended_with
from uniassist.release.rollback.target import refuse_another_driver
from uniassist.release.rollout.standstill import stop_all


@taking(ChangeOptions)
def run(given: ChangeOptions) -> None:
    """Stop all services, worker first, each drained and proven to be down. What is released stays as it is.

    Exit codes: 0 nothing runs, 2 consent missing, 12 something still runs, 30 locked, 31 an unfinished run.
    """
    with given.opened() as (screen, site):
        refuse_another_driver(site)
        code = stop_all(site, given.asking(screen))
        screen.end_of(site, "release stop", None, code)
    raise ended_with(code)
