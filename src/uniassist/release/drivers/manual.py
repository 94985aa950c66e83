"""The driver for a person's hands: says what to do, and waits until /health shows that it was done.

    ManualDriver(urls: Mapping[str, str], say: Callable[[str], None], *, deadline_seconds: float = 1800.0)

urls: base URLs by service; each service needs one, since there is no other way to see it.
say: gets lines for the person.

Nobody answering is all that can be seen of a stopped service, so its `state` is "unknown" and its `ok` None.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from uniassist.release.drivers.driver import DriverFailed, Observed
from uniassist.release.drivers.endpoint import Answered, ask
from uniassist.release.drivers.installation import wheel_of
from uniassist.release.records.kept_releases import Release

POLL_SECONDS = 0.5


class ManualDriver:
    name = "manual"
    waits_for_a_person = True

    def __init__(
        self, urls: Mapping[str, str], say: Callable[[str], None], *, deadline_seconds: float = 1800.0
    ) -> None:
        self._urls = dict(urls)
        self._say = say
        self._deadline_seconds = deadline_seconds

    async def prepare(self, release: Release) -> str:
        return f"by hand: {wheel_of(release)} and {release.folder / 'requirements.txt'} will be needed"

    def command(self, release: Release) -> None:
        """Releases run elsewhere."""

    async def deploy(self, service: str, release: Release) -> None:
        await self._bring("run", service, release)

    async def revert(self, service: str, release: Release) -> None:
        await self._bring("go back to", service, release)

    async def stop(self, service: str, revision: str | None = None) -> None:
        def is_done(answered: Answered) -> bool:
            if answered.ok is None:
                return answered.refused
            return revision is not None and answered.service == service and answered.revision != revision

        if is_done(await ask(self._url(service))):
            return
        which = f"every instance of {revision}" if revision else "every instance"
        self._say(f"{service}: stop {which}, with SIGTERM and time to drain")
        await self._until(service, is_done, "is down")

    async def observe(self, service: str) -> Observed:
        url = self._urls.get(service)
        if url is None:
            return Observed(service, "unknown", detail="no URL is known for it")
        answered = await ask(url)
        stranger = answered.ok is not None and answered.service != service
        return Observed(
            service,
            "running" if answered.ok is not None and not stranger else "unknown",
            answered.revision,
            answered.env_digest,
            answered.instance,
            answered.ok,
            stranger,
            f"{answered.service or 'no service of ours'} answers" if stranger else answered.detail,
            answered.failing,
        )

    async def in_the_way(self, env: Mapping[str, str]) -> list[str]:
        """A person sees it there."""
        return []

    def prune(self, kept: Sequence[Release]) -> list[str]:
        """It prepares nothing."""
        return []

    async def _bring(self, what: str, service: str, release: Release) -> None:
        def is_done(answered: Answered) -> bool:
            shown = (answered.service, answered.revision, answered.env_digest)
            return shown == (service, release.tag, release.env_digest)

        if is_done(await ask(self._url(service))):
            return
        for line in (
            f"{service}: {what} {release.tag} in place of what runs there",
            f"  commit    {release.commit}",
            f"  wheel     {wheel_of(release)}",
            f"  sha256    {release.wheel_sha256}",
            f"  env file  {release.folder / 'env'}",
            f"  and set   UNIASSIST_REVISION={release.tag}",
            f"            UNIASSIST_ENV_DIGEST={release.env_digest}",
        ):
            self._say(line)
        await self._until(service, is_done, f"shows {release.tag} and this env set")

    async def _until(self, service: str, is_done: Callable[[Answered], bool], what: str) -> None:
        url, end, said = self._url(service), time.monotonic() + self._deadline_seconds, ""
        self._say(f"  waiting until {url}/health {what}, at most {self._deadline_seconds:g} s")
        while True:  # ends: done, or at the deadline
            answered = await ask(url)
            if is_done(answered):
                return
            seen = _words(answered)
            if time.monotonic() > end:
                raise DriverFailed(
                    f"{service}: not done within {self._deadline_seconds:g} s: expected that {url}/health {what};"
                    f" now: {seen}"
                )
            if seen != said:
                self._say(f"  now: {seen}")
                said = seen
            await asyncio.sleep(POLL_SECONDS)

    def _url(self, service: str) -> str:
        if service not in self._urls:
            raise DriverFailed(f"{service}: no URL is known for it; by hand nothing else could be seen")
        return self._urls[service]


def _words(answered: Answered) -> str:
    if answered.ok is None:
        return "nobody answers" if answered.refused else answered.detail
    if answered.service is None:
        return answered.detail
    digest = (answered.env_digest or "none")[:8]
    return (
        f"{answered.service} {answered.revision}, env set {digest}, {'healthy' if answered.ok else answered.detail}"
    )
