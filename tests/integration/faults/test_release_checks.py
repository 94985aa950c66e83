"""What a release asks of the servers fails as a check or is not known; a fault of theirs never breaks it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable

import pytest
from tests.server_faults import CONNECTING, REDIS, REDIS_WRITING, FaultyPostgres

from uniassist.release.checks.consumption import Consumption
from uniassist.release.checks.servers import check_postgres, check_redis, schema_revision
from uniassist.release.checks.service_client import ServiceClient
from uniassist.release.report.checklist import CheckFailed
from uniassist.release.watch.outbox_metrics import from_database, hour_before
from uniassist.release.watch.probing import attempt_postgres, attempt_redis
from uniassist.web.calling.client import JsonClient

# That a server refuses what the env set says is no outage: a rollback would mend it.
MENDED_BY_A_ROLLBACK = {
    "wrong password",
    "no database",
    "no login",
    "no password given",
    "no rights",
    "no such database",
    "no Redis",
}


async def consumption(url: str) -> str:
    async with JsonClient() as client:
        return await Consumption(ServiceClient(client, "http://127.0.0.1:1"), url).expect_consumed(["e"], 1.0)


@pytest.mark.parametrize("ask", [check_postgres, schema_revision, consumption])
@pytest.mark.parametrize("fault", CONNECTING)
async def test_a_check_fails_with_the_words_for_a_database_that_cannot_be_used(
    faulty_postgres: FaultyPostgres, ask: Callable[[str], Awaitable[object]], fault: str
) -> None:
    with pytest.raises(CheckFailed) as caught:
        await ask(faulty_postgres.url(fault))
    assert str(caught.value).startswith("DATABASE_URL: ")
    assert CONNECTING[fault] in str(caught.value)


@pytest.mark.parametrize("role", ["without_rights", "only_reading"])
async def test_a_check_that_writes_finds_who_cannot(faulty_postgres: FaultyPostgres, role: str) -> None:
    words = {"without_rights": "postgres: no permission", "only_reading": "postgres: read-only"}[role]
    with pytest.raises(CheckFailed, match=f"DATABASE_URL: {role} can't write to test_.*: {words}"):
        await check_postgres(faulty_postgres.of_role(role))


@pytest.mark.parametrize("fault", CONNECTING)
async def test_a_watch_notes_a_database_that_cannot_be_used_and_goes_on(
    faulty_postgres: FaultyPostgres, fault: str
) -> None:
    url = faulty_postgres.url(fault)
    seen = await attempt_postgres(url, 3.0)
    assert (seen.ok, CONNECTING[fault] in seen.detail) == (fault in MENDED_BY_A_ROLLBACK, True), seen
    assert await from_database(url) is None
    assert await hour_before(url, dt.datetime.now(dt.UTC)) is None


async def test_a_watch_takes_a_url_that_asks_for_what_we_have_not_for_the_release_s_doing(
    database_url: str,
) -> None:
    of_postgres = await attempt_postgres(f"{database_url}?channel_binding=require", 3.0)
    of_redis = await attempt_redis("redis://127.0.0.1:1/0?decode_responses=yes", 3.0)
    for seen in (of_postgres, of_redis):
        assert (seen.ok, "refused (the URL)" in seen.detail) == (True, True), seen


@pytest.mark.parametrize("fault", {**REDIS, **REDIS_WRITING}.keys())
async def test_a_redis_that_cannot_be_used_is_noted_and_fails_a_check(
    faulty_redis: Callable[[str], str], fault: str
) -> None:
    url, words = faulty_redis(fault), {**REDIS, **REDIS_WRITING}[fault]
    with pytest.raises(CheckFailed) as caught:
        await check_redis(url)
    assert str(caught.value).startswith(f"REDIS_URL: {words}")
    seen = await attempt_redis(url, 3.0)
    if fault in REDIS:
        assert (seen.ok, words in seen.detail) == (fault in MENDED_BY_A_ROLLBACK, True), seen
