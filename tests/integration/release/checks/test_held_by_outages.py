"""The four services on a server that takes no writes: whoever meets it names it, and nobody rolls back for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from tests.integration.release.commands import Command
from tests.integration.release.conftest import REVISION
from tests.integration.release.repositories import repository
from tests.integration.release.rollout.little_project import Project, project
from tests.integration.release.watch.started_watch import StartedWatch
from tests.processes import ServiceProcess
from tests.standbys import set_read_only
from tests.waiting import eventually

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.drivers.endpoint import ask

# Longer than the watch of these tests lets a service fail.
FIRES_SECONDS = 2.5


def flat(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def full(server: EmbeddedRedis) -> Iterator[None]:
    with Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 1)
        try:
            yield
        finally:
            redis.config_set("maxmemory", 0)


@contextmanager
def read_only(server: EmbeddedPostgres) -> Iterator[None]:
    set_read_only(server, to=True)
    try:
        yield
    finally:
        set_read_only(server, to=False)


@dataclass(frozen=True)
class Outage:
    """`server` and `words` as health has them; `advice`: how what mends it begins."""

    server: str
    words: str
    advice: str
    begun: Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["redis", "postgres"])
def outage(
    request: pytest.FixtureRequest, redis_server: EmbeddedRedis, postgres_server: EmbeddedPostgres
) -> Outage:
    if request.param == "redis":
        return Outage("redis", "full (maxmemory", "raise maxmemory", lambda: full(redis_server))
    return Outage("postgres", "read-only", "let DATABASE_URL lead", lambda: read_only(postgres_server))


@pytest.fixture
def known(staging: dict[str, str], running: dict[str, ServiceProcess]) -> dict[str, str]:
    return {**staging, "REDIS_URL": running["worker"].env["REDIS_URL"], "STAGING_VERIFY_TIMEOUT_MS": "4000"}


async def told_by_health(outage: Outage, url: str) -> None:
    async def told() -> bool:
        return f"{outage.server}: {outage.words}" in (await ask(url)).detail

    await eventually(told, "health tells it")


async def test_verify_and_gate_name_it_and_advise_what_mends_it(
    outage: Outage, command: Command, known: dict[str, str], running: dict[str, ServiceProcess]
) -> None:
    by_urls = {name: value for name, value in known.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    with outage.begun():
        for service in ("worker", "gateway"):
            await told_by_health(outage, running[service].url)
        verified = command("release", "verify", "--rev", REVISION, **known)
        by_health = command("release", "verify", "--rev", REVISION, "--json", **by_urls)
        repository(command.folder)
        gate = command("release", "gate", DATABASE_URL=known["DATABASE_URL"], REDIS_URL=known["REDIS_URL"])
        status = command("status", "--url", running["gateway"].url)

    said = flat(verified.out)
    assert verified.code == 13, verified.said
    assert f"worker is not healthy (503): {outage.server}: {outage.words}" in said
    assert f"{outage.server}: {outage.words}" in said
    assert outage.advice in said
    assert "no rollback mends that" in said
    assert "next: uniassist doctor" in said
    assert "safe: roll back" not in said

    # Nothing but the runbook's three URLs: health says it all.
    document = json.loads(by_health.out)
    assert (by_health.code, document["held"]) == (13, True), by_health.said
    assert any(outage.advice in line for line in document["outages"])
    assert "safe: roll back" not in flat(by_health.err)

    assert gate.code == 10, gate.said
    assert f"{outage.server}: {outage.words}" in flat(gate.err)
    assert f"{outage.server}: {outage.words}" in flat(status.out)


async def test_a_watch_holds_its_triggers_while_it_lasts(
    outage: Outage, known: dict[str, str], running: dict[str, ServiceProcess], tmp_path: Path
) -> None:
    watch = StartedWatch(tmp_path, "rollback", 20, known)
    try:
        await watch.watches()
        with outage.begun():
            await watch.says(f"ALERT: {outage.server} is {outage.words.split(' (')[0]}")
            # What waits for the server may be named a moment before it.
            await watch.says("worker fails: not healthy (503): ")
            words = f"{outage.server}: {outage.words}"
            await eventually(lambda: words in watch.state().services["worker"].detail, "in health's own words")
            first = watch.probed_at("worker")
            await eventually(
                lambda: watch.probed_at("worker") - first > FIRES_SECONDS, "it fails longer than fires"
            )
        await watch.says(f"{outage.server} is back")
        await watch.says("worker is ok again")
        assert outage.advice in watch.said
        assert ("TRIGGER" in watch.said, "rolling" in watch.said) == (False, False)
    finally:
        watch.kill()


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Project]:
    made = project(tmp_path, database_url, redis_url)
    yield made
    made.stop()


def test_a_rollback_names_it_before_it_asks_and_at_its_end(outage: Outage, place: Project) -> None:
    for tag in ("v1", "v2"):
        if tag == "v2":
            place.tag(tag)
            place.verified()
        assert place("rollout", "--rev", tag, "--yes").code == 0
    with outage.begun():
        ended = place("rollback", "--yes")
    assert ended.code == 21, ended.said
    said = flat(ended.out)
    first, end = said.index(f"{outage.server}: {outage.words}"), said.index("rollback INCOMPLETE")
    assert first < said.index("[1/6] stop new worker")
    assert f"LEFT TO DO: {outage.server}: {outage.words}" in said
    assert "no rollback mends that" in said
    assert "next: uniassist doctor" in said[end:]
    assert place.revisions() == ["v1"] * 4
