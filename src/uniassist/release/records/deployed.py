"""What was put where and what proved good, for one environment: `<home>/environments/<name>/deployed.json`.

It is what the tool did last, never what runs: that is observed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.durable_files import write_anyhow, write_whole

KEPT_VERIFIED = 3


class Verified(msgspec.Struct, frozen=True, rename="camel"):
    release: str
    at: str


class Unrecorded(msgspec.Struct, frozen=True, rename="camel"):
    """A rollback whose record is incomplete. `released`: what it left, `said`: what is missing, and why."""

    at: str
    released: str | None
    target: str
    said: str


class Deployed(msgspec.Struct, frozen=True, rename="camel"):
    """What the tool did last.

    services: the release that each was last given.
    current: what the last run aimed at.
    verified: releases that passed verification here and weren't rolled back from since, oldest first.
    unrecorded: rollbacks that couldn't write their record, the last ten.
    """

    services: dict[str, str] = {}
    current: str | None = None
    verified: list[Verified] = []
    unrecorded: list[Unrecorded] = []

    def given(self, service: str, release: str) -> Deployed:
        return msgspec.structs.replace(self, services={**self.services, service: release})

    def stopped(self, service: str) -> Deployed:
        """Whatever it was given runs no more, by our own hand."""
        return msgspec.structs.replace(self, services={k: v for k, v in self.services.items() if k != service})

    def aiming_at(self, release: str) -> Deployed:
        return msgspec.structs.replace(self, current=release)

    def proved(self, release: str) -> Deployed:
        others = [known for known in self.verified if known.release != release]
        return msgspec.structs.replace(self, verified=[*others, Verified(release, now())])

    def doubted(self, release: str) -> Deployed:
        """Rolled back from: nothing to roll back to any more."""
        return msgspec.structs.replace(self, verified=[v for v in self.verified if v.release != release])

    def without_record(self, released: str | None, target: str, said: str) -> Deployed:
        lost = Unrecorded(now(), released, target, said)
        return msgspec.structs.replace(self, unrecorded=[*self.unrecorded, lost][-10:])

    def only_current_is_good(self) -> Deployed:
        """After a migration that took something away from older code."""
        return msgspec.structs.replace(self, verified=[v for v in self.verified if v.release == self.current])

    def rollback_target(self, besides: str | None) -> str | None:
        """The release that was verified last before `besides`; of one that never was, the last verified."""
        before: list[str] = []
        for known in self.verified:
            if known.release == besides:
                break
            before.append(known.release)
        return before[-1] if before else None

    def needed(self) -> set[str]:
        """Releases that have to stay: what was put somewhere, and the last three verified."""
        kept = {known.release for known in self.verified[-KEPT_VERIFIED:]} | set(self.services.values())
        return kept | ({self.current} if self.current else set())


def read(path: Path) -> Deployed:
    """Nothing was deployed where there is no such file; StartError when it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Deployed)
    except FileNotFoundError:
        return Deployed()
    except (OSError, msgspec.DecodeError) as error:
        raise StartError(f"{path} can't be read: {error}") from None


def write(path: Path, deployed: Deployed, *, anyhow: bool = False) -> None:
    """`anyhow`: in place where there is no room for another file. StartError when it can't be written."""
    text = msgspec.json.format(msgspec.json.encode(deployed)).decode() + "\n"
    (write_anyhow if anyhow else write_whole)(path, text)
