"""The driver for services that the operator's own commands run: ssh, docker compose, kubectl, whatever it is.

    ExecDriver(verbs: ExecFile, home: Path, *, urls: Mapping[str, str], mask: Callable[[str], str])

home: a folder of the tool's where the command under way is noted.
urls: base URLs by service.
mask: takes secrets out of what commands say.

Every command gets, as environment: UNIASSIST_RELEASE_SERVICE and _URL; deploy, revert and prepare also _ID, _TAG,
_COMMIT, _FOLDER, _ENV_FILE, _ENV_DIGEST, _WHEEL and _WHEEL_SHA256; stop also _REVISION, which is empty when all
instances are meant.

`observe` prints one line of JSON, `{"state": "running"}` or "stopped" or "unknown", and where it can tell them
`revision`, `envDigest`, `instances` (the UNIASSIST_INSTANCE of each process) and `detail`. What it says is compared
with what /health says: another one answering there is a stranger. deploy and stop run their command only where
observation says that there is something to do, and stop isn't believed before observation agrees.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from uniassist.devstack.state import write_private
from uniassist.release import subprocesses
from uniassist.release.drivers.driver import DriverFailed, Observed, State
from uniassist.release.drivers.endpoint import Answered, ask
from uniassist.release.drivers.exec_file import ExecFile, ObserveVerb, Verb
from uniassist.release.drivers.installation import wheel_of
from uniassist.release.drivers.state_files import read_as
from uniassist.release.records.kept_releases import Release

POLL_SECONDS = 0.2


class Said(msgspec.Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """What an operator's `observe` prints. Empty or absent: it can't tell."""

    state: State
    revision: str | None = None
    env_digest: str | None = None
    instances: list[str] = []
    detail: str = ""


class _UnderWay(msgspec.Struct, rename="camel", frozen=True):
    verb: str
    pid: int
    created: float  # with the number it tells one process from all others


class ExecDriver:
    name = "exec"
    waits_for_a_person = False

    def __init__(self, verbs: ExecFile, home: Path, *, urls: Mapping[str, str], mask: Callable[[str], str]) -> None:
        self._verbs = verbs
        self._home = home.absolute()
        self._urls = dict(urls)
        self._mask = mask

    async def prepare(self, release: Release) -> str:
        if self._verbs.prepare is None:
            return "nothing to prepare: the driver file has no [prepare]"
        await self._run("prepare", self._verbs.prepare, "", self._of(release))
        return "prepared by the driver file's command"

    def command(self, release: Release) -> None:
        """Releases run elsewhere."""

    async def deploy(self, service: str, release: Release) -> None:
        await self._bring("deploy", self._verbs.deploy, service, release)

    async def revert(self, service: str, release: Release) -> None:
        await self._bring("revert", self._verbs.revert, service, release)

    async def stop(self, service: str, revision: str | None = None) -> None:
        await self._wait_for_earlier(service, self._verbs.stop.deadline_seconds)
        said, answered = await self._look(service)
        if revision is not None and (answered.revision or said.revision) not in (revision, None):
            return
        if _is_down(said, answered):
            return
        end = time.monotonic() + self._verbs.stop.deadline_seconds
        await self._run("stop", self._verbs.stop, service, {"REVISION": revision or ""})
        while True:  # ends: down, or at the deadline
            said, answered = await self._look(service)
            if _is_down(said, answered):
                return
            if time.monotonic() > end:
                break
            await asyncio.sleep(POLL_SECONDS)
        seen = _judged(service, said, answered)
        raise DriverFailed(
            f"{service}: the stop command ended well, but it isn't down: observe says {said.state}"
            f"{', and its URL answers' if answered.ok is not None else ''}"
            f"{f'; {self._mask(seen.detail)}' if seen.detail else ''}"
        )

    async def observe(self, service: str) -> Observed:
        return _judged(service, *await self._look(service))

    async def in_the_way(self, env: Mapping[str, str]) -> list[str]:
        """It is elsewhere."""
        return []

    def prune(self, kept: Sequence[Release]) -> list[str]:
        """What its [prepare] made is the operator's own."""
        return []

    async def _bring(self, verb: str, command: Verb, service: str, release: Release) -> None:
        await self._wait_for_earlier(service, command.deadline_seconds)
        said, answered = await self._look(service)
        seen = _judged(service, said, answered)
        runs = (seen.revision or said.revision, seen.env_digest or said.env_digest)
        if said.state == "running" and not seen.stranger and runs == (release.tag, release.env_digest):
            return
        await self._run(verb, command, service, self._of(release))

    async def _look(self, service: str) -> tuple[Said, Answered]:
        url = self._urls.get(service)
        if url is None:
            return await self._said(service), Answered(None)
        said, answered = await asyncio.gather(self._said(service), ask(url))
        return said, answered

    async def _said(self, service: str) -> Said:
        look = self._verbs.observe
        try:
            ended = await subprocesses.run(_script(look), self._env(service, {}), look.deadline_seconds)
        except OSError as error:
            return Said("unknown", detail=f"observe: {error.strerror}")
        if ended.code is None:
            return Said("unknown", detail=f"observe: no answer within {look.deadline_seconds:g} s")
        if ended.code != 0:
            return Said("unknown", detail=self._mask(f"observe ended with {ended.code}: {ended.words[-400:]}"))
        try:
            return msgspec.json.decode(ended.out, type=Said)
        except msgspec.MsgspecError as error:
            return Said("unknown", detail=self._mask(f"observe: {error}: {ended.out[:200]!r}"))

    async def _run(self, verb: str, command: Verb, service: str, values: Mapping[str, str]) -> None:
        note = self._note(service)
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

        def began(pid: int) -> None:
            with suppress(psutil.Error):
                under_way = _UnderWay(verb, pid, psutil.Process(pid).create_time())
                write_private(note, msgspec.json.encode(under_way))

        try:
            ended = await subprocesses.run(
                _script(command), self._env(service, values), command.deadline_seconds, began=began
            )
        except OSError as error:
            raise DriverFailed(f"{service or 'prepare'}: {verb}: {error.strerror}") from None
        note.unlink(missing_ok=True)
        if ended.code != 0:
            how = (
                f"not done within {command.deadline_seconds:g} s"
                if ended.code is None
                else f"ended with {ended.code}"
            )
            raise DriverFailed(self._mask(f"{service or 'all services'}: {verb} {how}: {ended.words}"))

    async def _wait_for_earlier(self, service: str, deadline_seconds: float) -> None:
        """The command of a tool that was killed: it ends, or is ended, before another one begins."""
        earlier = read_as(self._note(service), _UnderWay)
        end = time.monotonic() + deadline_seconds
        while earlier is not None and _runs(earlier):
            if time.monotonic() > end:
                with suppress(ProcessLookupError):
                    os.killpg(earlier.pid, signal.SIGKILL)
                break
            await asyncio.sleep(POLL_SECONDS)
        self._note(service).unlink(missing_ok=True)

    def _note(self, service: str) -> Path:
        return self._home / "exec" / f"{service or 'prepare'}.json"

    def _env(self, service: str, values: Mapping[str, str]) -> dict[str, str]:
        of_service = {"SERVICE": service, "URL": self._urls.get(service, "")} if service else {}
        named = {f"UNIASSIST_RELEASE_{name}": value for name, value in {**of_service, **values}.items()}
        return {**os.environ, **named}

    def _of(self, release: Release) -> dict[str, str]:
        return {
            "ID": release.id,
            "TAG": release.tag,
            "COMMIT": release.commit,
            "FOLDER": str(release.folder),
            "ENV_FILE": str(release.folder / "env"),
            "ENV_DIGEST": release.env_digest,
            "WHEEL": str(wheel_of(release)),
            "WHEEL_SHA256": release.wheel_sha256,
        }


def _script(verb: Verb | ObserveVerb) -> list[str]:
    return ["/bin/sh", "-euc", verb.run]


def _runs(earlier: _UnderWay) -> bool:
    try:
        process = psutil.Process(earlier.pid)
        return process.create_time() == earlier.created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_down(said: Said, answered: Answered) -> bool:
    return said.state == "stopped" and answered.ok is None


def _judged(service: str, said: Said, answered: Answered) -> Observed:
    """A stranger: another service, a process that observe doesn't know, or one of another revision or env set."""
    differs = [
        f"{what} {theirs} answers, {ours} runs"
        for what, ours, theirs in (
            ("revision", said.revision, answered.revision),
            ("env set", said.env_digest, answered.env_digest),
        )
        if ours is not None and theirs != ours
    ]
    if said.instances and answered.instance not in said.instances:
        differs.append(f"instance {answered.instance} answers, {', '.join(said.instances)} runs")
    if answered.service != service:
        differs.append(f"{answered.service or 'no service of ours'} answers")
    if said.state == "stopped":
        differs.append("it is stopped, and something answers")
    stranger = answered.ok is not None and bool(differs)
    details = (*(differs if stranger else ()), said.detail, answered.detail)
    return Observed(
        service,
        said.state,
        answered.revision,
        answered.env_digest,
        answered.instance,
        answered.ok,
        stranger,
        "; ".join(detail for detail in details if detail),
        answered.failing,
    )
