"""`uniassist release contract`."""

from __future__ import annotations

from pathlib import Path

from uniassist.cli.release.on_a_site import RehearsedOptions, taking
from uniassist.cli.release.options import Rev
from uniassist.cli.release.screen import ended_with
from uniassist.release.rollout.contraction import contract, rehearse


@taking(RehearsedOptions)
def run(given: RehearsedOptions, rev: Rev = None) -> None:
    """Run a tag's contracting migrations, before it is rolled out, once nothing older needs what they take away.

    What runs must be verified and healthy. Afterwards there is nothing to roll back to until the next release is
    verified: older code can't run on the new schema. Exit codes: 0 done, 2 consent missing or nothing to do, 10 not
    ready, 12 a migration failed, 30 locked, 31 an unfinished run is there, 32 something drifted.
    """
    with given.opened() as (screen, site):
        if given.dry_run:
            rehearse(site, Path.cwd(), rev)
            return
        code, said = contract(site, Path.cwd(), rev, given.asking(screen))
        screen.say(said)
        screen.end_of(site, "release contract", None, code, migrations=said)
    raise ended_with(code)
