"""What a rollout would do, from what is known, and whether a plan still holds. No I/O but its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from uniassist.errors import StartError
from uniassist.release.clock import now
from uniassist.release.drivers.driver import Observed
from uniassist.release.durable_files import write_whole
from uniassist.release.records.kept_releases import Release
from uniassist.release.walk import observation
from uniassist.release.walk.observation import Seen


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """What happens to one service.

    before, after: revisions.
    why: what differs; empty where nothing has to be done.
    """

    service: str
    before: str
    after: str
    why: str


class RolloutPlan(msgspec.Struct, frozen=True, rename="camel"):
    """What a rollout would do.

    target: the id of the release.
    observed: the digest of what was seen.
    migrations: names, all of them expanding.
    env_names: variables that differ from what runs.
    """

    made_at: str
    target: str
    tag: str
    commit: str
    env_digest: str
    observed: str
    changes: list[Change]
    migrations: list[str]
    env_names: list[str]

    def lines(self) -> list[str]:
        """What would change, a line each."""
        found = [f"{c.service:<15} {c.before} → {c.after}  ({c.why})" for c in self.changes if c.why]
        found += [f"{c.service:<15} {c.after} already, nothing to do" for c in self.changes if not c.why]
        found.append(f"migrations      {', '.join(self.migrations) or 'none'}")
        return [*found, f"env             {_names(self.env_names)}"]


def make(target: Release, seen: Seen, migrations: Sequence[str], env_names: Sequence[str]) -> RolloutPlan:
    return RolloutPlan(
        now(),
        target.id,
        target.tag,
        target.commit,
        target.env_digest,
        observation.digest(seen),
        [_change(service, observed, target) for service, observed in seen.items()],
        list(migrations),
        list(env_names),
    )


def differing_names(before: Mapping[str, str] | None, after: Mapping[str, str]) -> list[str]:
    """Names of variables that were added, removed or changed; none are told when nothing was there before."""
    if before is None:
        return []
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def staleness(plan: RolloutPlan, fresh: RolloutPlan) -> list[str]:
    """Why `plan` no longer holds; `fresh` is the same made now. Empty when it does."""
    found = []
    if plan.commit != fresh.commit:
        found.append(f"{plan.tag} was commit {plan.commit[:12]}, and is {fresh.commit[:12]}")
    if plan.env_digest != fresh.env_digest:
        found.append("the env set was changed since")
    before = {change.service: change.before for change in plan.changes}
    for change in fresh.changes:
        if before.get(change.service) != change.before:
            found.append(f"{change.service} was {before.get(change.service)}, and is {change.before}")
    if plan.migrations != fresh.migrations:
        found.append("other migrations are pending")
    if not found and plan.observed != fresh.observed:
        found.append("a service was stopped, started or given another env set")
    return found


def builtins(plan: RolloutPlan) -> dict[str, Any]:
    """As --json has it."""
    document: dict[str, Any] = msgspec.to_builtins(plan)
    return document


def read(path: Path) -> RolloutPlan | None:
    """None when none was made; StartError when it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RolloutPlan)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StartError(f"{path} can't be read: {error}") from None


def write(path: Path, plan: RolloutPlan) -> None:
    write_whole(path, msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n")


def _change(service: str, observed: Observed, target: Release) -> Change:
    why = ""
    if not observation.runs(observed, target):
        if observed.ok is None:
            why = "it doesn't run" if observed.state == "stopped" else "it doesn't answer"
        elif observed.revision != target.tag:
            why = "another revision"
        else:
            why = "another env set"
    return Change(service, observation.name_of(observed), target.tag, why)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"changed: {shown}" if names else "unchanged"
