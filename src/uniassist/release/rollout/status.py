"""One screen of 80 columns: what runs, what is good, where one would roll back to, and who is at it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uniassist.release.checks.outages import FoundOutage
from uniassist.release.checks.outages import look as look_at_servers
from uniassist.release.drivers.driver import Driver
from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.incident.incident import all_incidents
from uniassist.release.records import lock
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Release, env_of
from uniassist.release.report.steps import WIDTH, wrapped
from uniassist.release.walk import observation, unfinished
from uniassist.release.walk.observation import Seen

_LABEL = 12


@dataclass(frozen=True)
class Status:
    """An environment on one screen.

    current: what the last run aimed at.
    good: revisions that were verified, each with its time.
    back_to: what a rollback would go back to.
    watcher: who watches, in a sentence.
    unfinished: the run that isn't over, in a sentence.
    outages: servers at fault, looked for only where a service isn't well.
    incidents: runs whose incident nobody has closed yet, the latest first.
    next: one command to copy.
    """

    environment: str
    seen: Seen
    current: Release | None
    drift: list[str]
    good: list[tuple[str, str]]
    back_to: Release | None
    watcher: str
    holder: lock.Holder | None
    unfinished: str | None
    incidents: list[str]
    outages: list[str]
    next: str

    @property
    def running(self) -> str:
        """The services as a whole, against what the last run aimed at."""
        if self.current is None:
            return "nothing was rolled out here yet"
        up = sum(observation.is_up(observed, self.current) for observed in self.seen.values())
        if up == len(self.seen):
            return f"{self.current.tag}, all healthy"
        word = {"all-new": "all", "all-old": "none", "mixed": "MIXED: not all"}
        standing = word[observation.standing(self.seen, self.current)]
        return f"{standing} of {self.current.tag}, {up} of {len(self.seen)} healthy"

    def lines(self) -> list[str]:
        found = _row(self.environment, self.running)
        for line in observation.lines(self.seen):
            found += wrapped(line)
        for line in self.drift:
            found += wrapped(f"DRIFT: {line}")
        good = ", ".join(f"{tag} ({at[:16].replace('T', ' ')})" for tag, at in reversed(self.good))
        found += _row("good", good or "nothing was verified yet")
        found += _row(
            "roll back", f"to {self.back_to.tag}" if self.back_to else "to nothing: none was verified before"
        )
        found += _row("watcher", self.watcher)
        found += _row("lock", self.holder.said() if self.holder else "free")
        found += _row("unfinished", self.unfinished or "none")
        for line in self.outages:
            found += _row("server", line)
        if self.incidents:
            found += _row("incident", f"open: {', '.join(self.incidents)}")
        return [*found, f"{'next':<{_LABEL}}{self.next}"]  # never wrapped: it is to be copied

    def document(self) -> dict[str, Any]:
        return {
            "command": "release status",
            "environment": self.environment,
            "running": self.running,
            "services": [observation.document(observed) for observed in self.seen.values()],
            "current": self.current.tag if self.current else None,
            "drift": self.drift,
            "good": [{"revision": tag, "at": at} for tag, at in self.good],
            "rollbackTarget": self.back_to.tag if self.back_to else None,
            "watcher": self.watcher,
            "lock": self.holder.said() if self.holder else None,
            "unfinished": self.unfinished,
            "openIncidents": self.incidents,
            "outages": self.outages,
            "next": self.next,
            "exitCode": 0,
        }


def _row(label: str, text: str) -> list[str]:
    indent = " " * _LABEL
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<{_LABEL}}", subsequent_indent=indent, break_on_hyphens=False
    )


async def look(home: Home, driver: Driver, watcher: str, services: Sequence[str] = ROLLOUT_ORDER) -> Status:
    """Reads, observes, changes nothing."""
    seen = await observation.observe_all(driver, services)
    known = home.deployed()
    current = home.kept.find(known.current or "nothing")
    found = unfinished.find(home)
    holder = lock.holder_of(home.lock)
    if found and holder and found[1].condition == "under way":
        found = None  # its process lives
    kept = [(home.kept.find(verified.release), verified) for verified in known.verified]
    incidents = [
        noted.facts.run
        for noted in all_incidents(home.directory)
        if noted.is_open and noted.facts.environment == home.environment
    ]
    good = [(release.tag, verified.at) for release, verified in kept if release is not None]
    outages = await _outages(current, seen)
    return Status(
        environment=home.environment,
        seen=seen,
        current=current,
        drift=observation.drift(seen, known, home.kept),
        good=good[-3:],
        back_to=home.kept.find(known.rollback_target(known.current) or "nothing"),
        watcher=watcher,
        holder=holder,
        unfinished=unfinished.said(*found) if found else None,
        incidents=incidents,
        outages=[outage.line() for outage in outages],
        next=_next(current, known, found is not None, seen, incidents)
        if all(outage.row.rollback_mends for outage in outages)
        else "uniassist doctor",
    )


async def _outages(current: Release | None, seen: Seen) -> list[FoundOutage]:
    if current is None or all(observation.is_up(observed, current) for observed in seen.values()):
        return []
    env = env_of(current)
    return await look_at_servers(env.get("DATABASE_URL") or None, env.get("REDIS_URL") or None)


def _next(
    current: Release | None, known: Deployed, is_unfinished: bool, seen: Seen, incidents: Sequence[str]
) -> str:
    good = known.verified[-1].release if known.verified else None
    if is_unfinished:
        return "uniassist release resume     (safe: uniassist release rollback)"
    if current is None:
        return "uniassist release preflight"
    if not known.services and all(observed.state == "stopped" for observed in seen.values()):
        return "uniassist release start"
    if not all(observation.is_up(observed, current) for observed in seen.values()):
        return "uniassist release rollback"
    if current.id != good:
        return f"uniassist release verify --rev {current.tag}"
    if incidents:
        return f"uniassist release incident close {incidents[0]}"
    return "nothing to do"
