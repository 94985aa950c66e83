"""An outage that the server itself tells is one, also while services that only read think it well."""

from __future__ import annotations

from uniassist.release.watch.triggers.outages import DependencyOutage
from uniassist.release.watch.triggers.samples import Attempt, Notice, Probe

WELL = [Probe(10.0, "ok", checks={"redis": "ok"})]


def looked(attempt: Attempt) -> list[str]:
    outage = DependencyOutage("redis", 17.0)
    outage.attempted(attempt)
    outage.attempted(attempt)
    return [found.text for found in outage.look(10.0, WELL) if isinstance(found, Notice)]


def test_a_full_server_holds_the_triggers_whatever_health_says() -> None:
    (said,) = looked(Attempt(10.0, False, "REDIS_URL: redis: full", "full", certain=True))
    assert said.startswith("redis is full (REDIS_URL: redis: full): no rollback mends that, all triggers are held")


def test_a_server_that_only_we_cannot_reach_is_none() -> None:
    assert looked(Attempt(10.0, False, "REDIS_URL: redis: away")) == []
