"""Releases as they are kept where the services run: `<home>/releases/<id>/`, all that a restart of one needs.

`env` (0600, the whole env set), `verify.env`, the wheel, `requirements.txt`, `release.json`, and whatever a driver
prepared.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.durable_files import make_directory, sync_directory, write_whole
from uniassist.release.env.file import read_env_file, written
from uniassist.release.records.runs import plain

RELEASE = "release.json"
ENV = "env"
VERIFY_ENV = "verify.env"  # what the verification of this env set needs: STAGING_…
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class Release:
    """A revision together with the env set that it runs under, as it is kept where the services run.

    id: `<tag>-<first 8 of env_digest>`; names the folder.
    tag: what its services report as their revision.
    wheel_sha256: of the wheel that preflight and gate saw.
    env_digest: what its services report as their env set.
    folder: all that a restart of it needs, without git, network or registry.
    """

    id: str
    tag: str
    commit: str
    wheel_sha256: str
    env_digest: str
    folder: Path


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    tag: str
    commit: str
    wheel: str
    wheel_sha256: str
    env_digest: str
    kept_at: str


@dataclass(frozen=True)
class Parts:
    """What a release is made of."""

    tag: str
    commit: str
    wheel: Path
    requirements: Path
    env: Mapping[str, str]
    verify_env: Mapping[str, str]
    env_digest: str

    @property
    def id(self) -> str:
        return release_id(self.tag, self.env_digest)


def release_id(tag: str, env_digest: str) -> str:
    return f"{plain(tag)}-{env_digest[:8]}"


class KeptReleases:
    def __init__(self, home: Path) -> None:
        self.directory = home / "releases"

    def keep(self, parts: Parts) -> Release:
        """Whole or not at all. What is there already stays, but for what only the verification reads.

        StartError where another commit has its name.
        """
        if (found := self.find(parts.id)) is not None:
            if (found.commit, found.env_digest) != (parts.commit, parts.env_digest):
                raise StartError(f"{found.folder} is of another commit or env set; remove it or choose another tag")
            write_whole(found.folder / VERIFY_ENV, written(parts.verify_env))
            return found
        make_directory(self.directory)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self.directory))
        try:
            self._fill(folder, parts)
            folder.rename(self.directory / parts.id)
            sync_directory(self.directory)
        except OSError as error:
            raise StartError(f"{self.directory}: {parts.id} can't be kept: {error.strerror}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return self.get(parts.id)

    def get(self, release: str) -> Release:
        """StartError when it isn't kept here."""
        found = self.find(release)
        if found is None:
            raise StartError(f"{release} isn't kept in {self.directory}")
        return found

    def find(self, release: str) -> Release | None:
        folder = self.directory / release
        try:
            known = msgspec.json.decode((folder / RELEASE).read_bytes(), type=_Document)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StartError(f"{folder / RELEASE} can't be read: {error}") from None
        return Release(known.id, known.tag, known.commit, known.wheel_sha256, known.env_digest, folder)

    def all(self) -> list[Release]:
        found = (self.find(path.parent.name) for path in sorted(self.directory.glob(f"[!.]*/{RELEASE}")))
        return [release for release in found if release is not None]

    def prune(self, needed: Collection[str]) -> list[str]:
        """Remove all releases but those; returns what went."""
        gone = [release for release in self.all() if release.id not in needed]
        for release in gone:
            # Out of the way first: a folder that is half removed must not look like a release.
            away = self.directory / f".old-{release.id}"
            release.folder.rename(away)
        for path in [*self.directory.glob(".old-*"), *self.directory.glob(".new-*")]:
            shutil.rmtree(path, ignore_errors=True)
        return [release.id for release in gone]

    def _fill(self, folder: Path, parts: Parts) -> None:
        shutil.copyfile(parts.wheel, folder / parts.wheel.name)
        shutil.copyfile(parts.requirements, folder / REQUIREMENTS)
        write_whole(folder / ENV, written(parts.env))
        write_whole(folder / VERIFY_ENV, written(parts.verify_env))
        document = _Document(
            parts.id,
            parts.tag,
            parts.commit,
            parts.wheel.name,
            hashlib.sha256(parts.wheel.read_bytes()).hexdigest(),
            parts.env_digest,
            now(),
        )
        write_whole(folder / RELEASE, msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
        for path in folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def env_of(release: Release) -> dict[str, str]:
    """The env set that it runs under."""
    return read_env_file(release.folder / ENV)


def verify_env_of(release: Release) -> dict[str, str]:
    """What verifying it needs beside that; empty where nothing was kept."""
    path = release.folder / VERIFY_ENV
    return read_env_file(path) if path.exists() else {}
