"""Plans in Postgres: there after a restart, changed once by a call, nobody else's, erased, gone when old."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import icalendar
import psycopg
import pytest
from tests.integration.provider_plan.conftest import Person
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.provider_plan.tidying import DRAFTS_KEPT, KEPT
from uniassist.store import plans as store
from uniassist.web.calling.client import JsonClient


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


def versions(database: psycopg.Connection, person: Person) -> list[int]:
    found = database.execute(
        "SELECT version FROM plans WHERE user_id = %s AND deleted_at IS NULL ORDER BY created_at", [person.user_id]
    )
    return [version for (version,) in found]


async def test_a_plan_is_there_after_a_restart_and_a_call_that_comes_again_changes_it_once(
    keeping: Callable[..., ServiceProcess],
    client: JsonClient,
    person: Callable[..., Person],
    database: psycopg.Connection,
) -> None:
    me, first = person(client), keeping()
    assert "计划已保存" in await me.makes(first)
    again = me.message("把我的计划推迟两天")
    before = await me.call(first, again)
    first.kill()
    second = keeping()
    assert await me.call(second, again | {"run": again["run"] | {"attempt": 2}}) == before
    assert versions(database, me) == [2]
    assert "“去东京玩五天”的计划" in await me.says(second, "看看我的计划")
    second.stop()


async def test_changes_at_the_same_moment_are_all_there(
    plan: ServiceProcess, keeping: Callable[..., ServiceProcess], client: JsonClient, person: Callable[..., Person]
) -> None:
    me, other = person(client), keeping()
    await me.makes(plan, "学会游泳")
    asked = [me.message(f"计划里加一步：买第{number}号泳镜") for number in range(8)]
    await asyncio.gather(*(me.call((plan, other)[at % 2], body) for at, body in enumerate(asked)))
    said = await me.says(plan, "看看我的计划")
    assert [number for number in range(8) if f"买第{number}号泳镜" not in said] == []
    same = me.message("计划里加一步：买毛巾")
    answers = await asyncio.gather(*(me.call((plan, other)[at % 2], same) for at in range(4)))
    assert all(each == answers[0] for each in answers)
    assert (await me.says(plan, "看看我的计划")).count("买毛巾") == 1
    other.stop()


async def test_a_plan_is_of_its_person_alone(
    plan: ServiceProcess, client: JsonClient, person: Callable[..., Person]
) -> None:
    me = person(client, subject="sub-1")
    await me.makes(plan)
    for other in (
        person(client),
        person(client, user_id=me.user_id),
        person(client, user_id=me.user_id, subject="sub-2"),
    ):
        assert "还没有保存的计划" in await other.says(plan, "看看我的计划")
    later = person(client, subject="sub-1", user_id=me.user_id)
    assert "“去东京玩五天”" in await later.says(plan, "看看我的计划")


async def test_deleted_and_back_over_http(
    plan: ServiceProcess, client: JsonClient, person: Callable[..., Person]
) -> None:
    me = person(client)
    await me.makes(plan)
    await me.makes(plan, "学会游泳")
    assert "已删掉“学会游泳”的计划" in await me.says(plan, "删掉第二个计划")
    assert "找回来了：“学会游泳”" in await me.says(plan, "撤销")
    assert "你有 2 个计划" in await me.says(plan, "我的计划")


async def test_what_a_form_left_out_is_remembered_until_it_is_submitted(
    plan: ServiceProcess, client: JsonClient, person: Callable[..., Person]
) -> None:
    me = person(client)
    said = await me.says(plan, "帮我计划学会游泳，每周五小时")
    [line] = [each for each in said.splitlines() if each.startswith("form ")]
    task, fields = line.removeprefix("form ").split(": ")
    assert fields == "dueDate constraints"
    assert "“学会游泳”的计划" in await me.acts(
        plan, "submit_data_collection", {"taskId": task, "values": {"dueDate": ""}}
    )


async def test_a_calendar_follows_the_plan_and_its_link_ends(
    plan: ServiceProcess, client: JsonClient, person: Callable[..., Person], database: psycopg.Connection
) -> None:
    me = person(client)
    await me.makes(plan, "去东京, 大阪; 玩五天\\n")
    said = await me.says(plan, "导出日历，谢谢，把我的计划给我")
    url = next(word for word in said.split() if word.startswith("http"))

    async def read() -> dict[str, Any]:
        answer = await client.request("GET", url, timeout_seconds=20)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
        file = icalendar.Calendar.from_ical(answer.body)
        return {str(each["UID"]): each for each in file.walk("VEVENT")}

    before = await read()
    assert len(before) == 16
    assert {int(each["SEQUENCE"]) for each in before.values()} == {0}
    assert "“去东京, 大阪; 玩五天\\n”" in str(next(iter(before.values()))["DESCRIPTION"])
    await me.says(plan, "推迟两天")
    after = await read()
    assert after.keys() == before.keys(), "an event that is moved is the same event"
    assert {int(each["SEQUENCE"]) for each in after.values()} == {1}
    two = dt.timedelta(days=2)
    assert [each.decoded("DTSTART") + two for each in before.values()] == [
        each.decoded("DTSTART") for each in after.values()
    ]
    database.execute("UPDATE plan_links SET expires_at = now() WHERE user_id = %s", [me.user_id])
    for other in (url, f"{plan.url}/calendars/x.ics", f"{plan.url}/calendars/{'x' * 5000}.ics"):
        assert (await client.request("GET", other, timeout_seconds=20)).status == 404


async def erased(client: JsonClient, plan: ServiceProcess, person: Person, at_ms: int) -> None:
    body = {"schemaVersion": "v0", "userId": person.user_id, "subjects": [], "timestampMs": at_ms}
    answer = await client.request("POST", f"{plan.url}/v0/erase", body=codec.encode(body), timeout_seconds=20)
    assert answer.status == 200, answer.body


async def test_a_person_who_is_erased_leaves_nothing_and_may_begin_anew(
    plan: ServiceProcess, client: JsonClient, person: Callable[..., Person], database: psycopg.Connection
) -> None:
    me, other = person(client, subject="sub-1"), person(client)
    await me.makes(plan)
    await other.makes(plan)
    await me.says(plan, "帮我计划学会游泳")
    await me.says(plan, "导出我的计划")
    tables = ("plans", "plan_answers", "plan_drafts", "plan_links")
    assert all(
        database.execute(f"SELECT FROM {table} WHERE user_id = %s", [me.user_id]).rowcount for table in tables
    )
    at_ms = int(time.time() * 1000)
    for _ in range(2):
        await erased(client, plan, me, at_ms)
        assert not any(
            database.execute(f"SELECT FROM {table} WHERE user_id = %s", [me.user_id]).rowcount for table in tables
        )
    assert versions(database, other) == [1]
    await me.makes(plan)
    await erased(client, plan, me, at_ms)
    assert versions(database, me) == [1], "told late, it takes nothing that came after"


async def test_what_is_old_goes(
    plan: ServiceProcess,
    plans_url: str,
    client: JsonClient,
    person: Callable[..., Person],
    database: psycopg.Connection,
) -> None:
    old, over, used, gone = (person(client) for _ in range(4))
    for each in (old, over, used, gone):
        await each.makes(plan)
    change = "UPDATE plans SET {} WHERE user_id = %s"
    long_ago = "now() - interval '40 days'"
    database.execute(change.format(f"used_at = {long_ago}, ends_on = current_date - 40"), [old.user_id])
    database.execute(change.format(f"used_at = {long_ago}"), [over.user_id])
    database.execute(change.format("ends_on = current_date - 40"), [used.user_id])
    database.execute(change.format("deleted_at = now() - interval '2 days'"), [gone.user_id])
    database.execute(f"UPDATE plan_answers SET created_at = {long_ago} WHERE user_id = %s", [used.user_id])
    async with await store.create_pool(plans_url) as pool:
        await store.forget(pool, days=0, kept=KEPT, drafts_kept=DRAFTS_KEPT)
        assert versions(database, old) == [1]
        await store.forget(pool, days=30, kept=KEPT, drafts_kept=DRAFTS_KEPT)
    assert [versions(database, each) for each in (old, over, used)] == [[], [1], [1]]
    assert not database.execute("SELECT FROM plans WHERE user_id = %s", [gone.user_id]).rowcount
    assert not database.execute("SELECT FROM plan_answers WHERE user_id = %s", [used.user_id]).rowcount


async def test_health_says_whether_it_can_keep(
    plan: ServiceProcess, client: JsonClient, plans_url: str, tmp_path: Path
) -> None:
    async def health(of: ServiceProcess) -> tuple[int, Any]:
        answer = await client.request("GET", f"{of.url}/health", timeout_seconds=20)
        return answer.status, codec.decode(answer.body, dict[str, Any])["checks"]

    async def is_well() -> bool:
        return await health(plan) == (200, {"postgres": "ok"})

    await eventually(is_well, "it writes", 60)
    nowhere = plans_url.rpartition("/")[0] + "/no_such_database"
    broken = ServiceProcess("provider-plan", tmp_path / "log", {"DATABASE_URL": nowhere})
    broken.start()
    try:
        status, checks = await health(broken)
        assert status == 503
        assert checks["postgres"] != "ok"
        asked = Person(client, "kim").message("看看我的计划")
        answer = await client.request(
            "POST", f"{broken.url}/v0/invoke", body=codec.encode(asked), timeout_seconds=20
        )
        assert answer.status == 503, "and nobody is told that there is no plan"
    finally:
        broken.stop()
