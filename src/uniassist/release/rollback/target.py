"""Which release a rollback goes back to."""

from __future__ import annotations

from uniassist.release.exit_codes import UsageRefused
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Release
from uniassist.release.walk import unfinished
from uniassist.release.walk.site import Site


def target_of(home: Home, to: str | None) -> Release:
    """What `to` names (a tag or an id), or the release to roll back to. UsageRefused when there is none."""
    if to is not None:
        return _named(home, to)
    last = unfinished.find(home)
    if last is not None and last[0].kind == "rollback":
        return home.kept.get(last[0].target)
    known = home.deployed()
    found = known.rollback_target(known.current)
    if found is None:
        raise UsageRefused(
            f"nothing was verified before: there is nothing to roll back to; kept (--to): {_kept(home)}"
        )
    return home.kept.get(found)


def refuse_another_driver(site: Site) -> None:
    """UsageRefused unless the last run was by this driver.

    The default would start services on this machine, while those to roll back run elsewhere.
    """
    last = site.home.runs.last(site.environment.name)
    if last is not None and last.driver != site.driver.name:
        file = " and its --driver-file" if last.driver == "exec" else ""
        raise UsageRefused(
            f"--driver: {site.environment.name} was last released with {last.driver} ({last.id}), "
            f"not with {site.driver.name}: give --driver {last.driver}{file}"
        )


def _named(home: Home, name: str) -> Release:
    """Of several env sets of a tag the one that was verified last, else the one put in place last."""
    found = [release for release in home.kept.all() if name in (release.tag, release.id)]
    if not found:
        raise UsageRefused(f"--to {name}: isn't kept here; kept: {_kept(home)}")
    order = [verified.release for verified in home.deployed().verified]
    return max(found, key=lambda release: (order.index(release.id) if release.id in order else -1, release.id))


def _kept(home: Home) -> str:
    return ", ".join(release.tag for release in home.kept.all()) or "nothing"
