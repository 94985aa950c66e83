"""`uniassist release abort`."""

from __future__ import annotations

from uniassist.cli.release.on_a_site import ConfirmedOptions, taking
from uniassist.release.rollout.resumption import abort


@taking(ConfirmedOptions)
def run(given: ConfirmedOptions) -> None:
    """Close an unfinished run as it is, without touching a service. What runs is looked at and kept in its journal.

    Exit codes: 0 closed, 2 there is none.
    """
    with given.opened() as (screen, site):
        closed = abort(site, given.asking(screen))
        screen.document({"command": "release abort", "run": closed.id, "exitCode": 0})
