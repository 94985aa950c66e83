"""The verification of a kept release, and what follows from a good one, wherever it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from uniassist.errors import SettingsError, StartError
from uniassist.release import interrupts
from uniassist.release.checks.verify import verify
from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.drivers.driver import Driver
from uniassist.release.env.environment import Environment
from uniassist.release.env.services import all_urls
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Release, env_of, verify_env_of
from uniassist.release.records.lock import locked
from uniassist.release.records.recording import keep
from uniassist.release.records.records import Records
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.revision.git import Names
from uniassist.release.walk.patience import try_again
from uniassist.release.walk.site import Site
from uniassist.settings import Reader


class ServerAtFault(CheckFailed):
    """Postgres or Redis is: going back to another release mends nothing."""


@dataclass(frozen=True)
class KeptVerification:
    """Verifies releases that are kept here, each with its own env set. Nobody sees it; its evidence is kept.

    driver: the driver's name, which tells where services answer that have no URL in the environment.
    """

    environment: Environment
    driver: str
    records: Records
    reporter: ReleaseReporter

    @classmethod
    def at(cls, site: Site) -> KeptVerification:
        return cls(site.environment, site.driver.name, site.records, site.reporter)

    async def verify(self, release: Release) -> str:
        """What it measured, tried again for a while. CheckFailed with a line for each step that failed."""
        return await try_again(lambda: self._once(release))

    async def _once(self, release: Release) -> str:
        names, unseen = Names(release.tag, release.commit), self.reporter.unseen()
        try:
            values = {**self.environment.values, **env_of(release), **verify_env_of(release)}
            subject = VerifySubject.of(Reader(values), all_urls(values, self.driver), names)
        except SettingsError as error:
            raise CheckFailed(str(error)) from None
        document = await verify(subject, names, self.environment.name, unseen)
        keep(unseen, self.records, document, release.commit)
        if document["held"]:
            raise ServerAtFault("\n".join(map(_line, failed_steps(document))))
        if document["exitCode"] != ExitCode.DONE:
            raise CheckFailed("\n".join(map(_line, failed_steps(document))))
        return unseen.lines[-1] if unseen.lines else ""


def verify_by_url(site: Site, subject: VerifySubject, names: Names) -> dict[str, Any]:
    """The post-release verification of what answers, kept as evidence, and noted when it is good.

    The document has the exit code: 0 or 13. Interrupted after a Ctrl-C.
    """
    work = verify(subject, names, site.environment.name, site.reporter)
    document = interrupts.run(work, site.reporter.say)
    keep(site.reporter, site.records, document, names.commit)
    if document["exitCode"] == ExitCode.DONE:
        note_verified(site.home, site.driver, document["revisions"], site.reporter.say)
    return document


def failed_steps(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [step for step in document["steps"] if step["result"] == "failed"]


def make_good(home: Home, driver: Driver, release: Release, say: Callable[[str], None]) -> None:
    """A verified release is one to roll back to; what no release needs any more goes. The lock is held.

    That something can't be removed is said, and holds nothing up: the next one removes it.
    """
    home.change(lambda known: known.proved(release.id))
    try:
        home.prune()
        driver.prune(home.kept.all())
    except (OSError, StartError) as error:
        say(f"NOT removed, what no release needs any more: {error}")


def note_verified(home: Home, driver: Driver, seen: Mapping[str, str], say: Callable[[str], None]) -> None:
    """What was rolled out last is good now, if it is that which answered, by `seen`: revisions by service."""
    current = home.deployed().current
    release = home.kept.find(current) if current else None
    if release is None or set(seen.values()) != {release.tag}:
        return
    try:
        with locked(home.lock, f"notes that {release.tag} is verified"):
            make_good(home, driver, release, say)
    except Refused as refused:
        say(f"NOT noted as verified: {refused}")
        return
    say(f"{release.tag} is good: the next rollout can roll back to it")


def _line(step: Mapping[str, Any]) -> str:
    return f"{step['name']}: {step.get('detail', '')}"
