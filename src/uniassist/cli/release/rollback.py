"""`uniassist release rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from uniassist.cli.release.on_a_site import RehearsedOptions, taking
from uniassist.cli.release.screen import ended_with, ending
from uniassist.release.rollback.rollback import RollbackRequest, rehearse, roll_back, unix
from uniassist.release.rollback.target import refuse_another_driver
from uniassist.release.walk.verified import KeptVerification

To = Annotated[
    str | None,
    typer.Option("--to", metavar="TAG", help="Default: the last revision that was verified before this one."),
]
FirstFailed = Annotated[
    str | None,
    typer.Option("--first-failed-at", metavar="TIME", help="When the first probe failed, UTC; the watch gives it."),
]


@taking(RehearsedOptions)
def run(given: RehearsedOptions, to: To = None, first_failed_at: FirstFailed = None) -> None:
    """Stop new workers, put back the revision and its env set in rollout order, verify. Needs no git, no network.

    It does what it can and doesn't stop at a failure. Exit codes: 2 consent missing or nothing to roll back to, 20
    rolled back and verified, 21 incomplete (with what is left to do), 30 locked, 31 a run was killed, 130
    interrupted.
    """
    with ending():
        unix(first_failed_at)
    with given.opened() as (screen, site):
        refuse_another_driver(site)
        if given.dry_run:
            rehearse(site, to)
            return
        verify = KeptVerification.at(site).verify
        code, ran = roll_back(site, RollbackRequest(to, first_failed_at), verify, given.asking(screen))
        screen.end_of(site, "release rollback", ran, code)
    raise ended_with(code)
