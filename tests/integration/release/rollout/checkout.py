"""A checkout of a project in small, whose services are those of `little`: use cases from git to the last step."""

from __future__ import annotations

from pathlib import Path

from tests.integration.release.gate.test_preflight import write_env
from tests.integration.release.repositories import repository
from tests.integration.release.rollout.little import Place

from uniassist.release.env.environment import Environment
from uniassist.release.records.kept_releases import Release
from uniassist.release.records.records import Records
from uniassist.release.walk.site import Site


class Checkout(Place):
    """`repo` has no tag yet. The home is the checkout's own."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        super().__init__(folder / "place")
        self.repo = repository(folder / "checkout")
        self.env_file = folder / "staging.env"
        write_env(self.env_file, DATABASE_URL=database_url, REDIS_URL=redis_url)
        self.environment = Environment.load("staging", self.env_file)
        self.records = Records(self.home.directory)

    def opened(self) -> Site:
        return Site(self.environment, self.told, self.records, self.home, self.driver, "", self.healthy_seconds)

    def tag(self, tag: str, **files: str) -> str:
        """A revision with these files; its commit."""
        self.repo.write("src/uniassist/revision.txt", tag)
        self.repo.write("requirements/runtime.txt", "")
        for name, text in files.items():
            self.repo.write(name, text)
        return self.repo.commit(tag=tag)

    def well(self, tag: str, **files: str) -> str:
        """The same, that preflight and gate were well with."""
        commit = self.tag(tag, **files)
        sha256 = self.repo.wheel_sha256(commit)
        known = {"wheelSha256": sha256, "envDigest": self.environment.env_digest}
        self.records.know(commit, preflight=known, gate=known)
        return commit

    def kept(self, tag: str) -> Release:
        return next(release for release in self.home.kept.all() if release.tag == tag)
