"""`uniassist release resume`."""

from __future__ import annotations

from uniassist.cli.release.on_a_site import ChangeOptions, taking
from uniassist.cli.release.screen import ended_with
from uniassist.release.rollout.resumption import resume
from uniassist.release.walk.verified import KeptVerification


@taking(ChangeOptions)
def run(given: ChangeOptions) -> None:
    """Go on with a run that was killed, interrupted or stopped: it looks first, and does what isn't done.

    Ends as the run itself would: 0 or 12 of a rollout, 20 or 21 of a rollback; 2 when there is none.
    """
    with given.opened() as (screen, site):
        code, ran = resume(site, KeptVerification.at(site).verify, given.asking(screen))
        screen.end_of(site, "release resume", ran, code)
    raise ended_with(code)
