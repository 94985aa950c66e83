"""What the commands that change an environment share: its home, its driver, consent, and how a run ends."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from uniassist import VERSION
from uniassist.cli import release_verify
from uniassist.cli.release_driver import all_urls, driver_of
from uniassist.cli.release_environment import Environment, Screen, keep, records_in
from uniassist.errors import SettingsError
from uniassist.release import interrupts
from uniassist.release.checklist import CheckFailed
from uniassist.release.drivers.driver import Driver, Release
from uniassist.release.drivers.local import LocalDriver
from uniassist.release.exit_codes import ExitCode, Refused, UsageRefused
from uniassist.release.home import Home
from uniassist.release.interrupts import Interrupted
from uniassist.release.journal import Journal
from uniassist.release.kept import env_of, verify_env_of
from uniassist.release.records import Records
from uniassist.release.revisions import Names
from uniassist.release.runs import Run
from uniassist.release.settling import settled
from uniassist.release.steps import Steps
from uniassist.release.walk import HEALTHY_SECONDS, Walk
from uniassist.settings import Reader

T = TypeVar("T")
HealthyWithin = Annotated[
    float,
    typer.Option("--healthy-within", metavar="SECONDS", min=1, max=3600, help="How long each service may take."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
Because = Annotated[str, typer.Option("--because", help="Why, for whoever looks later.", metavar="TEXT")]


@dataclass(frozen=True)
class Context:
    """`because` says why, for the lock and the run."""

    environment: Environment
    screen: Screen
    records: Records
    home: Home
    driver: Driver
    because: str
    healthy_seconds: float

    @classmethod
    def of(
        cls,
        environment: Environment,
        as_json: bool,
        state_dir: Path | None,
        driver: str,
        driver_file: Path | None,
        because: str = "",
        healthy_seconds: float = HEALTHY_SECONDS,
    ) -> Context:
        records = records_in(state_dir)
        home = Home(records.directory, environment.name)
        screen = Screen(environment.mask, as_json)
        works = driver_of(driver, driver_file, home, environment, screen.say)
        return cls(environment, screen, records, home, works, because, healthy_seconds)

    def walk(self, run: Run, total: int) -> Walk:
        journal = Journal(self.home.runs.folder(run.id), self.environment.mask)
        steps = Steps(total, self.screen.say, self.screen.began)
        return Walk(run, journal, self.home, self.driver, steps, self.healthy_seconds)

    def conduct(self, work: Coroutine[Any, Any, T]) -> T:
        """Refused with 130 after a Ctrl-C: what was under way is finished, and said."""
        try:
            return interrupts.run(work, self.screen.say, "finishing what is under way…", "still finishing it…")
        except Interrupted:
            raise Refused(
                ExitCode.INTERRUPTED,
                "interrupted, nothing is half done\n      next: uniassist release resume\n"
                "      safe: uniassist release rollback",
            ) from None

    async def verify(self, release: Release) -> str:
        """The post-release verification of a kept release, with its own env set, once things have settled."""
        return await settled(lambda: self._verify(release))

    async def _verify(self, release: Release) -> str:
        """Its evidence is kept as well."""
        values: dict[str, str] = {**self.environment.values, **env_of(release), **verify_env_of(release)}
        names = Names(release.tag, release.commit)
        quiet = Screen(self.environment.mask, self.screen.as_json, out=_Nowhere())
        try:
            subject = release_verify.subject_of(Reader(values), all_urls(values, self.driver.name), names)
        except SettingsError as error:
            raise CheckFailed(str(error)) from None
        document = await release_verify.conduct(subject, names, self.environment.name, quiet)
        keep(quiet, self.records, document, release.commit)
        wrong = [step for step in document["steps"] if step["result"] == "failed"]
        if document["exitCode"] != 0:
            raise CheckFailed("\n".join(f"{step['name']}: {step.get('detail', '')}" for step in wrong))
        return f"{quiet.lines[-1]}" if quiet.lines else ""

    def prune(self) -> None:
        """Under the lock: what no release needs any more, and what a driver prepared for it."""
        self.home.prune()
        if isinstance(self.driver, LocalDriver):
            self.driver.prune(self.home.kept.all())

    def ended(self, command: str, run: Run | None, code: ExitCode, **more: object) -> None:
        """The last line and --json's document; the journal is the evidence of the run."""
        document: Mapping[str, object] = {
            "command": command,
            "environment": self.environment.name,
            "exitCode": int(code),
            "run": run.id if run else None,
            "toolVersion": VERSION,
            **more,
        }
        if run is not None:
            self.screen.say(f"record: {self.home.runs.folder(run.id)}")
        self.screen.document(document)


class _Nowhere:
    """A screen that nobody looks at: its lines become evidence."""

    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def refuse_without_consent(yes: bool, dry_run: bool) -> None:
    """At once, before anything else: a script must not hang on a question, nor find out late."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageRefused("this changes a shared environment, and there is no terminal to ask at: give --yes")


def ask(question: str, yes: bool) -> None:
    """Refused with 2 unless it is confirmed."""
    try:
        confirmed = yes or typer.confirm(question, err=True)
    except typer.Abort:
        raise Refused(ExitCode.INTERRUPTED, "interrupted; nothing was touched") from None
    if not confirmed:
        raise UsageRefused("not confirmed; nothing was touched")
