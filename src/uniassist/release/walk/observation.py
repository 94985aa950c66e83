"""What runs, seen through a driver: compared with what should, said in words, and told apart by a digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from uniassist.release.drivers.driver import Driver, Observed
from uniassist.release.env.services import ROLLOUT_ORDER, later_than
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.kept_releases import KeptReleases, Release
from uniassist.release.report.steps import camel

Seen = Mapping[str, Observed]


async def observe_all(driver: Driver, services: Sequence[str] = ROLLOUT_ORDER) -> dict[str, Observed]:
    """All at once, in rollout order."""
    return dict(zip(services, await asyncio.gather(*(driver.observe(name) for name in services)), strict=True))


def document(observed: Observed) -> dict[str, Any]:
    """As journal and --json have it."""
    return {key: value for key, value in camel(asdict(observed)).items() if value not in (None, "", False)} | {
        "ok": observed.ok
    }


def runs(observed: Observed, release: Release) -> bool:
    """Whether it answers as this release, healthy or not."""
    return (
        observed.state != "stopped"
        and not observed.stranger
        and observed.ok is not None
        and (observed.revision, observed.env_digest) == (release.tag, release.env_digest)
    )


def is_up(observed: Observed, release: Release) -> bool:
    return runs(observed, release) and observed.ok is True


def waits_for(observed: Observed, release: Release) -> tuple[str, ...]:
    """Services after it in rollout order that it is unhealthy without; empty unless that is all that ails it."""
    later = later_than(observed.service)
    is_all = runs(observed, release) and not observed.ok and set(observed.failing) <= set(later)
    return observed.failing if is_all else ()


def said(observed: Observed) -> str:
    """A few words: what it is and how it does."""
    if observed.stranger:
        return f"a stranger answers: {observed.detail}" if observed.detail else "a stranger answers"
    if observed.ok is None:
        state = {"running": "runs, but doesn't answer", "stopped": "stopped", "unknown": "nobody answers"}
        return state[observed.state] + (f": {observed.detail}" if observed.detail else "")
    env = f" (env {observed.env_digest[:8]})" if observed.env_digest else ""
    how = "healthy" if observed.ok else "NOT healthy"
    # Also of a healthy one: that its keeper hangs, say, or that it is degraded.
    return f"{observed.revision}{env}, {how}{': ' + observed.detail if observed.detail else ''}"


def name_of(observed: Observed) -> str:
    """The revision, as a step's title has it; a dash where nothing runs."""
    return observed.revision or ("?" if observed.ok is not None or observed.state == "running" else "—")


def standing(seen: Seen, target: Release) -> str:
    """all-new, all-old or mixed, as a rollout of `target` sees it."""
    new = sum(runs(observed, target) for observed in seen.values())
    return "all-new" if new == len(seen) else "all-old" if new == 0 else "mixed"


def summary(seen: Seen, target: Release) -> list[str]:
    """What runs, in a word as a rollout of `target` sees it, and a line for each service."""
    word = {
        "all-new": f"all-new: every service is {target.tag}",
        "all-old": f"all-old: no service is {target.tag}",
        "mixed": f"MIXED: some services are {target.tag}, some are not",
    }[standing(seen, target)]
    return [word, *(f"  {line}" for line in lines(seen))]


def lines(seen: Seen) -> list[str]:
    return [f"{name:<15} {said(observed)}" for name, observed in seen.items()]


def digest(seen: Seen) -> str:
    """Of what a plan relies on: who runs where under which env set; not of health and of restarts."""
    facts = [
        [name, observed.revision, observed.env_digest, observed.state, observed.stranger]
        for name, observed in sorted(seen.items())
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def drift(seen: Seen, deployed: Deployed, kept: KeptReleases) -> list[str]:
    """For each service that isn't what was deployed here last, why. One that doesn't answer isn't drift."""
    found = []
    for service, observed in seen.items():
        release = kept.find(deployed.services.get(service, "nothing"))
        if observed.stranger:
            found.append(f"{service}: {said(observed)}; stop it by hand, or correct the URL")
        elif release is None or observed.ok is None:
            continue
        elif observed.revision != release.tag:
            found.append(f"{service}: is {observed.revision}, but {release.tag} was deployed last")
        elif observed.env_digest != release.env_digest:
            seen_digest = (observed.env_digest or "none")[:8]
            found.append(f"{service}: runs under env set {seen_digest}, deployed was {release.env_digest[:8]}")
    return found
