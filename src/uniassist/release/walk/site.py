"""The site of a command that changes an environment: its variables, its records, its driver, and who is told."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from uniassist.release import interrupts
from uniassist.release.drivers.choose import choose
from uniassist.release.drivers.driver import Driver
from uniassist.release.env.environment import Environment
from uniassist.release.env.services import ROLLOUT_ORDER, given_urls, merged, own_addresses, services_of
from uniassist.release.exit_codes import ExitCode, Refused
from uniassist.release.interrupts import Interrupted
from uniassist.release.records.home import Home
from uniassist.release.records.journal import Journal
from uniassist.release.records.kept_releases import Release, verify_env_of
from uniassist.release.records.lock import who
from uniassist.release.records.records import Records
from uniassist.release.records.runs import Run
from uniassist.release.report.reporter import ReleaseReporter
from uniassist.release.report.steps import Steps
from uniassist.release.walk.exclusion import alone
from uniassist.release.walk.walk import HEALTHY_SECONDS, Walk

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """What a command works on and with.

    reporter: who is told.
    because: why it is done, for the lock and the run; empty: not said.
    healthy_seconds: how long each service may take to be healthy.
    services: of what is released here, and of what was released last, in rollout order.
    """

    environment: Environment
    reporter: ReleaseReporter
    records: Records
    home: Home
    driver: Driver
    because: str = ""
    healthy_seconds: float = HEALTHY_SECONDS
    services: tuple[str, ...] = ROLLOUT_ORDER

    @classmethod
    def open(
        cls,
        environment: Environment,
        reporter: ReleaseReporter,
        records: Records,
        driver: str,
        driver_file: Path | None,
        *,
        because: str = "",
        healthy_seconds: float = HEALTHY_SECONDS,
    ) -> Site:
        """SettingsError when there is no such driver, or its file is missing."""
        home = Home(records.directory, environment.name)
        services = merged(services_of(environment.values), released_services(home))
        chosen = choose(
            driver,
            home=home.own / driver,
            urls=given_urls(environment.values),
            say=reporter.say,
            mask=environment.masker.mask,
            addresses=own_addresses(environment.values),
            file=driver_file,
            services=services,
        )
        return cls(environment, reporter, records, home, chosen, because, healthy_seconds, services)

    def alone(self, why: str) -> AbstractContextManager[None]:
        """The lock on the environment. Refused with 30 while somebody else is at it."""
        return alone(self.home, self.environment.values, self.reporter, self.because or why)

    def walk(self, run: Run, total: int, services: tuple[str, ...] = ROLLOUT_ORDER) -> Walk:
        """Of a run that begins, or of one that goes on, which its journal then says. `total`: of its steps."""
        journal = Journal(self.home.runs.folder(run.id), self.environment.masker, self.home.forgiving)
        steps = Steps(total, self.reporter.say, self.reporter.began)
        walk = Walk(run, journal, self.home, self.driver, steps, self.healthy_seconds, services=services)
        if journal.entries:
            walk.note(f"resumed by {who()}")
        return walk

    def others_than(self, services: tuple[str, ...]) -> tuple[str, ...]:
        """Those that were a part of what was released last, and aren't any more."""
        return tuple(each for each in self.services if each not in services)

    def services_of(self, release: Release) -> tuple[str, ...]:
        """Those that are a part of it, by its own env set."""
        return services_of(verify_env_of(release))

    def conduct(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. Refused with 130 after a Ctrl-C: what was under way is finished, and said."""
        try:
            return interrupts.run(work, self.reporter.say, "finishing what is under way…", "still finishing it…")
        except Interrupted:
            raise Refused(
                ExitCode.INTERRUPTED,
                "interrupted, nothing is half done\n      next: uniassist release resume\n"
                "      safe: uniassist release rollback",
            ) from None


def released_services(home: Home) -> tuple[str, ...]:
    """Of what was released here last; the four where nothing was."""
    release = home.kept.find(home.deployed().current or "nothing")
    return services_of(verify_env_of(release)) if release is not None else ROLLOUT_ORDER
