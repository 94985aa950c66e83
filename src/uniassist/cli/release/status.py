"""`uniassist release status`."""

from __future__ import annotations

import asyncio

from uniassist.cli.release.on_a_site import SiteOptions, taking
from uniassist.release.rollback.target import refuse_another_driver
from uniassist.release.rollout import status
from uniassist.release.watch.directory import who_watches


@taking(SiteOptions)
def run(given: SiteOptions) -> None:
    """What runs, what is good, where one would roll back to, who watches, who is at it. Changes nothing."""
    with given.opened() as (screen, site):
        # It would find strangers at every URL, and say to stop them.
        refuse_another_driver(site)
        watcher = who_watches(site.home.directory, site.environment.name).sentence()
        found = asyncio.run(status.look(site.home, site.driver, watcher, site.services))
        for line in found.lines():
            screen.say(line)
        screen.document(found.document())
