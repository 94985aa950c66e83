"""The incident note of a rollback: what the tool saw of it, and a root cause that only a person can give.

A rollback calls `open_incident` when it begins, so that a killed one leaves a note, too, and once more with all
that it found by its end. Until `close_incident` the note is open, and the evidence of the run incomplete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.durable_files import write_whole
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.report.masking import Masker

Outcome = Literal["under way", "verified", "incomplete"]


class _Noted(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Times are UTC, ISO 8601, as `steps.now` says them."""


class Revision(_Noted, frozen=True):
    """`commit` None: git didn't know it, or wasn't there."""

    tag: str
    commit: str | None = None
    env_digest: str | None = None


class FailedProbe(_Noted, frozen=True):
    """`found` is what was seen, `asked` the URL or the check; `service` may be a check's name, too."""

    at: str
    service: str
    asked: str
    found: str


class Excerpt(_Noted, frozen=True):
    """The last lines of a service's log. `source` names the file."""

    service: str
    source: str
    lines: tuple[str, ...]


class Changed(_Noted, frozen=True):
    """Names of env variables that differ between the two env sets; never a value."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Commits(_Noted, frozen=True):
    """What the rolled back revision has over the target. `said`: why there are none, or not all."""

    lines: tuple[str, ...] = ()
    said: str = ""


class Moment(_Noted, frozen=True):
    """One entry of the journal. `kind`: intent, effect, observation, or what else the journal says."""

    at: str
    kind: str
    said: str


class IncidentFacts(_Noted, frozen=True):
    """What the tool saw.

    trigger: what fired, or who asked and why.
    first_failed: None: nothing had failed, a person asked for it.
    left: what the rollback couldn't do.
    changed, commits: None: not looked for yet.
    """

    run: str
    environment: str
    released: Revision
    target: Revision
    trigger: str
    triggered_at: str
    outcome: Outcome = "under way"
    first_failed: FailedProbe | None = None
    verified_at: str | None = None
    left: tuple[str, ...] = ()
    changed: Changed | None = None
    commits: Commits | None = None
    logs: tuple[Excerpt, ...] = ()
    timeline: tuple[Moment, ...] = ()


class Cause(_Noted, frozen=True):
    """What a person says it was."""

    at: str
    by: str
    text: str


class Incident(_Noted, frozen=True):
    """`causes`: the last one counts; an earlier one was corrected by it."""

    opened_at: str
    updated_at: str
    facts: IncidentFacts
    causes: tuple[Cause, ...] = ()

    @property
    def is_open(self) -> bool:
        return not self.causes


def open_incident(home: Path, facts: IncidentFacts, masker: Masker) -> Incident:
    """Write or bring up to date the note of `facts.run` in `home`, the directory of the records.

    May be repeated: the time of opening and what a person said stay. StartError when it can't be written.
    """
    before = find(home, facts.run)
    masked = msgspec.convert(masker.mask_document(msgspec.to_builtins(facts)), IncidentFacts)
    noted = Incident(
        opened_at=before.opened_at if before else now(),
        updated_at=now(),
        facts=masked,
        causes=before.causes if before else (),
    )
    _keep(home, noted)
    return noted


def close_incident(home: Path, run: str, cause: str, by: str, masker: Masker) -> Incident:
    """Add what a person found to be the root cause; UsageRefused without a note or without a cause."""
    noted = get(home, run)
    text = masker.mask(cause.strip())
    if not any(character.isalnum() for character in text):
        raise UsageRefused('--cause: expected the root cause in words, such as "the pool was 5, not 50"')
    closed = msgspec.structs.replace(
        noted, updated_at=now(), causes=(*noted.causes, Cause(at=now(), by=by, text=text))
    )
    _keep(home, closed)
    return closed


def get(home: Path, run: str) -> Incident:
    """UsageRefused when there was no rollback in that run."""
    noted = find(home, run)
    if noted is None:
        known = ", ".join(other.facts.run for other in all_incidents(home)[:5]) or "none at all"
        raise UsageRefused(f"{run}: no incident of a run of that name; known: {known}")
    return noted


def find(home: Path, run: str) -> Incident | None:
    """StartError when the note is there, and damaged."""
    return _read(_path(home, run))


def all_incidents(home: Path) -> list[Incident]:
    """The latest first."""
    found = [noted for path in (home / "incidents").glob("*.json") if (noted := _read(path))]
    return sorted(found, key=lambda noted: noted.opened_at, reverse=True)


def _read(path: Path) -> Incident | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Incident)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StartError(f"{path} can't be read: {error}") from None


def _keep(home: Path, noted: Incident) -> None:
    text = msgspec.json.format(msgspec.json.encode(noted), indent=2).decode()
    write_whole(_path(home, noted.facts.run), text + "\n")


def _path(home: Path, run: str) -> Path:
    if not run or "/" in run or run.startswith("."):
        raise UsageRefused(f"{run!r}: expected a run's name, as `uniassist release status` shows it")
    return home / "incidents" / f"{run}.json"
