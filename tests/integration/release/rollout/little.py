"""A driver whose services are the smallest processes there are, and runs that are killed between two entries."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from uniassist.release.drivers.driver import DriverFailed, Observed
from uniassist.release.env.environment import Environment
from uniassist.release.env.services import ROLLOUT_ORDER
from uniassist.release.exit_codes import ExitCode
from uniassist.release.records.home import Home
from uniassist.release.records.journal import Journal, JournalEntry
from uniassist.release.records.kept_releases import Parts, Release
from uniassist.release.records.records import Records
from uniassist.release.records.runs import Run
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.report.masking import Masker
from uniassist.release.report.steps import Steps
from uniassist.release.rollback.budget import Budget
from uniassist.release.rollback.rollback import ORDER, Rollback
from uniassist.release.rollout.rollout import Rollout
from uniassist.release.walk.site import Site
from uniassist.release.walk.walk import Walk

ENVIRONMENT = "staging"


_MIGRATION = """\
import json, pathlib, sys

folder, tag, *asked = sys.argv[1:]
known = pathlib.Path(folder).parent / "home/environments/staging/deployed.json"
good = [verified["release"] for verified in json.loads(known.read_text())["verified"]] if known.exists() else []
with (pathlib.Path(folder) / "migrations.jsonl").open("a") as out:
    out.write(json.dumps({"tag": tag, "asked": asked, "good": good}) + "\\n")
if (pathlib.Path(folder) / "migrations-fail").exists():
    sys.exit("no migration today")
print(json.dumps({"ran": ["0002_less"], "current": "0002"}))
"""


class LittleDriver:
    """What really changes something is a line of effects.log; a verb that finds it done writes none.

    `broken` holds `<service> <tag>` that never become healthy, `refusing` what can't be deployed at all.
    """

    name = "little"
    waits_for_a_person = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: set[str] = set()
        self.pruned_for: list[list[str]] = []
        self.refusing: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def effects(self) -> list[str]:
        path = self.folder / "effects.log"
        return path.read_text().splitlines() if path.exists() else []

    def effect(self, line: str) -> None:
        with (self.folder / "effects.log").open("a") as out:
            out.write(line + "\n")

    def once(self, what: str) -> str:
        if what not in self.effects:
            self.effect(what)
        return what

    def command(self, release: Release) -> list[str]:
        """Notes what it is asked, and what is good by then; its schema is the one that it was told."""
        return [sys.executable, "-c", _MIGRATION, str(self.folder), release.tag]

    def prune(self, kept: Sequence[Release]) -> list[str]:
        self.pruned_for.append([release.tag for release in kept])
        return []

    async def in_the_way(self, env: Mapping[str, str]) -> list[str]:
        return []

    async def prepare(self, release: Release) -> str:
        return self.once(f"prepare {release.tag}")

    async def deploy(self, service: str, release: Release) -> None:
        if f"{service} {release.tag}" in self.refusing:
            raise DriverFailed(f"{service} can't be had as {release.tag}")
        known = self._known(service)
        if known and (known["tag"], known["digest"]) == (release.tag, release.env_digest) and _lives(known["pid"]):
            return
        self._kill(service)
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=nothing, stderr=nothing)
        process.returncode = 0  # nobody waits for it: it outlives us
        found = {"pid": process.pid, "tag": release.tag, "digest": release.env_digest}
        (self.folder / f"{service}.json").write_text(json.dumps(found))
        self.effect(f"deploy {service} {release.tag}")

    async def revert(self, service: str, release: Release) -> None:
        await self.deploy(service, release)

    async def stop(self, service: str, revision: str | None = None) -> None:
        known = self._known(service)
        if known and _lives(known["pid"]) and revision in (None, known["tag"]):
            self._kill(service)
            self.effect(f"stop {service} {known['tag']}")

    async def observe(self, service: str) -> Observed:
        known = self._known(service)
        if known is None or not _lives(known["pid"]):
            return Observed(service, "stopped")
        ok = f"{service} {known['tag']}" not in self.broken
        failing: tuple[str, ...] = ()
        if service == "adapter-wechat" and not (await self.observe("gateway")).ok:
            ok, failing = False, ("gateway",)
        return Observed(service, "running", known["tag"], known["digest"], str(known["pid"]), ok, failing=failing)

    def kill_all(self) -> None:
        for service in ROLLOUT_ORDER:
            self._kill(service)

    def _known(self, service: str) -> dict[str, Any] | None:
        path = self.folder / f"{service}.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _kill(self, service: str) -> None:
        known = self._known(service)
        if known and _lives(known["pid"]):
            os.kill(known["pid"], signal.SIGKILL)
            while _lives(known["pid"]):  # ends: nothing survives SIGKILL
                time.sleep(0.001)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


class Told:
    """A reporter whose lines a test reads. `others`: those that it handed out."""

    def __init__(self) -> None:
        self.masker = Masker()
        self.lines: list[str] = []
        self.others: list[Told] = []

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.lines).split())

    def say(self, line: str) -> None:
        self.lines.append(line)

    def began(self, line: str) -> None:
        """Nobody sees it."""

    def ring(self) -> None:
        """Nobody hears it."""

    def anew(self) -> Told:
        self.others.append(Told())
        return self.others[-1]

    def unseen(self) -> Told:
        return Told()


class Place:
    """A home with kept releases v1 and v2, v1 running everywhere and verified."""

    def __init__(self, folder: Path, healthy_seconds: float = 0.2) -> None:
        self.folder = folder
        self.home = Home(folder / "home", ENVIRONMENT)
        self.driver = LittleDriver(folder / "services")
        self.healthy_seconds = healthy_seconds
        self.told = Told()
        self.said = self.told.lines

    def release(self, tag: str, env: str = "a") -> Release:
        wheel, requirements = self.folder / "uniassist-1-py3-none-any.whl", self.folder / "runtime.txt"
        wheel.touch()
        requirements.touch()
        digest = (env * 64)[:64]
        return self.home.kept.keep(Parts(tag, f"commit-{tag}", wheel, requirements, {"ENV": env}, {}, digest))

    def running(self, tag: str) -> Release:
        """Put there without a run, as good."""
        release = self.release(tag)
        for service in ROLLOUT_ORDER:
            asyncio.run(self.driver.deploy(service, release))
            self.home.change(lambda known, s=service: known.given(s, release.id))  # type: ignore[misc]
        self.home.change(lambda known: known.aiming_at(release.id).proved(release.id))
        (self.driver.folder / "effects.log").unlink()
        return release

    def begin(self, kind: Any, target: Release, previous: Release) -> Run:
        facts = {"previous": previous.id, "previous_tag": previous.tag, "who": "me", "why": "a test"}
        return self.home.runs.begin(
            kind, target.tag, environment=ENVIRONMENT, driver="little", target=target.id, **facts
        )

    def site(self, values: Mapping[str, str] | None = None) -> Site:
        """As a command opens it. `values`: the env set."""
        given = dict(values or {})
        environment = Environment(ENVIRONMENT, given, None, Masker(), frozenset(given))
        records = Records(self.home.directory)
        return Site(environment, self.told, records, self.home, self.driver, "", self.healthy_seconds)

    def walk(self, run: Run) -> Walk:
        journal = Journal(self.home.runs.folder(run.id), Masker())
        return Walk(run, journal, self.home, self.driver, Steps(4, self.said.append), self.healthy_seconds, 0.2)

    def conduct(self, run: Run, verify: Callable[[], str] = lambda: "verified") -> ExitCode:
        """Begin or resume it, as the command does."""
        return asyncio.run(self.work(run, verify))

    async def work(self, run: Run, verify: Callable[[], str] = lambda: "verified") -> ExitCode:
        target = self.home.kept.get(run.target)

        async def migrated() -> str:
            return self.driver.once("migrate")

        async def verified(_release: Release) -> str:
            return verify()

        if run.kind == "rollout":
            return await Rollout(self.walk(run), target, migrated).run()
        leaving = self.home.kept.get(run.previous or "")
        return await Rollback(self.walk(run), target, leaving, verified, Budget(0.0, lambda: 1.0, ORDER)).run()


def failing() -> str:
    raise CheckFailed("the timeline stays empty")


def run_and_be_killed(folder: Path, run_id: str, entry: int, when: str) -> None:
    """In a process of its own: SIGKILL just before the `entry`th entry is written, or just after."""
    append = Journal.append

    def deadly(journal: Journal, *args: Any, **kwargs: Any) -> JournalEntry:
        due = len(journal.entries) + 1 == entry
        if due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = append(journal, *args, **kwargs)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    Journal.append = deadly  # type: ignore[assignment, method-assign]
    place = Place(folder)
    place.conduct(place.home.runs.read(run_id))


def main() -> None:
    """For each line of the standard input a run that is killed; answers with the signal that ended it."""
    for line in sys.stdin:
        folder, run_id, entry, when = json.loads(line)
        child = os.fork()
        if child == 0:
            run_and_be_killed(Path(folder), run_id, entry, when)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main()
