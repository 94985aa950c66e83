"""Reminders through the real gateway: asked for, due, said once, whatever is killed or down meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from tests.integration.provider_reminder.deadly_gateway import deadly
from tests.integration.provider_reminder.reminding import Reminding, system
from tests.processes import ServiceProcess
from tests.waiting import eventually

from uniassist.contracts import codec
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.release.checks.conformance.conformance import check_all
from uniassist.release.checks.conformance.provider.asking import Subject
from uniassist.release.checks.conformance.targets import Targets
from uniassist.release.report.checklist import Checklist
from uniassist.web.calling.client import JsonClient


@pytest.fixture(scope="module")
def reminding(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reminding]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE reminding TEMPLATE template_uniassist")
    env = {
        "DATABASE_URL": postgres_server.url_for("reminding"),
        "REDIS_URL": redis_server.url,
        "UNIASSIST_STREAM_PREFIX": "reminding:",
    }
    yield from system(tmp_path_factory.mktemp("reminding"), env)


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


async def test_one_is_asked_for_changed_and_said_at_its_time(reminding: Reminding, client: JsonClient) -> None:
    user = reminding.person()
    assert "提醒你：交报告" in await reminding.says(client, user, "明天九点提醒我交报告")
    assert "10:00" in await reminding.says(client, user, "改到十点"), "it has the floor"
    assert "1." in await reminding.says(client, user, "我的提醒")
    assert not reminding.reminders(user)
    reminding.due_now(user)
    (event,) = await reminding.said(user)
    assert (event["eventType"], event["title"], event["providerId"]) == ("reminder", "提醒：交报告", "reminder")
    assert event.get("body") is None, "it isn't late"
    await settled(reminding, user)
    snoozed = await reminding.says(client, user, "10 分钟后再提醒")
    assert "再提醒你：交报告" in snoozed
    reminding.due_now(user)
    assert [each["title"] for each in await reminding.said(user, 2)] == ["提醒：交报告"] * 2


async def test_a_run_that_is_asked_again_makes_one(reminding: Reminding, client: JsonClient) -> None:
    user = reminding.person()
    body = invoke_body("大后天早上八点提醒我吃药", user)
    other = await started(reminding)
    answers = [
        await client.request("POST", f"{process.url}/v0/invoke", body=codec.encode(body), timeout_seconds=30)
        for process in (reminding.reminder, other, reminding.reminder)
    ]
    assert {each.status for each in answers} == {200}
    assert len({each.body for each in answers}) == 1, "another process says the same"
    assert reminding.rows("SELECT count(*) FROM reminders WHERE user_id = %s", user) == [(1,)]
    later = invoke_body("第一个推迟一小时", user)
    for process in (reminding.reminder, other, reminding.reminder):
        await client.request("POST", f"{process.url}/v0/invoke", body=codec.encode(later), timeout_seconds=30)
    other.stop()
    wall = "SELECT (due_at AT TIME ZONE 'Asia/Shanghai')::time::text FROM reminders WHERE user_id = %s"
    assert reminding.rows(wall, user) == [("09:00:00",)], "an hour later, once"


async def test_killed_between_push_and_note_it_comes_once(reminding: Reminding, client: JsonClient) -> None:
    user = reminding.person()
    await reminding.says(client, user, "明天九点提醒我浇花")
    reminding.reminder.stop()
    victim = reminding.another()
    with deadly(reminding.gateway.url, lambda: victim.kill()) as url:
        victim.env["GATEWAY_URL"] = url
        victim.start()
        reminding.due_now(user)
        await reminding.said(user)
        await eventually(lambda: not victim.process.running, "its death", 60)
    assert reminding.rows("SELECT state, occurrence FROM reminders WHERE user_id = %s", user) == [("waiting", 1)]
    reminding.rows("UPDATE reminders SET lease_expires_at = now() WHERE user_id = %s", user)
    reminding.reminder.start()
    await settled(reminding, user)
    assert len(reminding.reminders(user)) == 1


async def test_two_processes_share_the_work_and_say_each_once(reminding: Reminding, client: JsonClient) -> None:
    user = reminding.person()
    await reminding.says(client, user, "明天九点提醒我第一件事")
    other = await started(reminding)
    reminding.rows(
        "INSERT INTO reminders (reminder_id, user_id, subject, run_id, matter, language, due_at) "
        "SELECT 'many-' || n, user_id, subject, run_id, n::text, 'zh', now() "
        "FROM reminders, generate_series(1, 900) n WHERE user_id = %s",
        user,
    )
    await eventually(lambda: len(reminding.reminders(user)) >= 900 or None, "all of them", 90)
    waits = "SELECT count(*) FROM reminders WHERE user_id = %s AND due_at <= now()"
    await eventually(lambda: reminding.rows(waits, user) == [(0,)], "all notes", 60)
    titles = [each["title"] for each in reminding.reminders(user)]
    assert sorted(titles) == sorted({f"提醒：{n}" for n in range(1, 901)})
    other.stop()


async def test_due_while_everything_is_down_it_comes_once_and_says_what_was_missed(
    reminding: Reminding, client: JsonClient
) -> None:
    once, often = reminding.person(), reminding.person()
    await reminding.says(client, once, "remind me tomorrow at 9 to call mum", locale="en-GB")
    await reminding.says(client, often, "每天早上八点提醒我吃药")
    for process in (reminding.reminder, reminding.gateway):
        process.stop()
    reminding.due_now(once, "3 hours")
    # Since the day before yesterday at eight in the person's zone: twice, or three times after eight.
    reminding.rows(
        "UPDATE reminders SET anchor = anchor - interval '3 days', due_at = due_at - interval '3 days' "
        "WHERE user_id = %s",
        often,
    )
    reminding.reminder.start()  # first, so that it finds no gateway
    put_off = "SELECT count(*) FROM reminders WHERE user_id = ANY (%s) AND last_error IS NOT NULL"
    await eventually(lambda: reminding.rows(put_off, [once, often]) == [(2,)], "that it can't be told", 60)
    reminding.gateway.start()
    (late,) = await reminding.said(once)
    assert (late["title"], late["body"].startswith("This was due")) == ("Reminder: call mum", True)
    (missed,) = await reminding.said(often)
    assert missed["title"] == "提醒：吃药"
    assert "错过了 3 次" in missed["body"]
    await settled(reminding, once)
    next_one = (
        "SELECT due_at > now(), due_at < now() + interval '1 day', occurrence FROM reminders WHERE user_id = %s"
    )
    await eventually(lambda: reminding.rows(next_one, often) == [(True, True, 2)], "the next one", 60)
    assert (len(reminding.reminders(once)), len(reminding.reminders(often))) == (1, 1)


async def test_over_a_change_of_summer_time_the_wall_clock_stays(reminding: Reminding, client: JsonClient) -> None:
    """Due before Berlin's change of March 2026, and long missed: the next one is at nine there, whatever UTC is."""
    user = reminding.person()
    await reminding.says(
        client, user, "every day at 9 remind me to stretch", timezone="Europe/Berlin", locale="en-GB"
    )
    reminding.rows(
        "UPDATE reminders SET anchor = '2026-03-27 09:00', due_at = '2026-03-27 09:00 Europe/Berlin' "
        "WHERE user_id = %s",
        user,
    )
    (event,) = await reminding.said(user)
    assert "were missed since on Friday, 27 Mar at 09:00" in event["body"]
    after = (
        "SELECT (due_at AT TIME ZONE 'Europe/Berlin')::time::text, due_at > now() FROM reminders WHERE user_id = %s"
    )
    await eventually(lambda: reminding.rows(after, user) == [("09:00:00", True)], "nine in Berlin", 60)


async def test_who_moves_keeps_the_wall_clock_of_what_recurs_and_the_instant_of_the_rest(
    reminding: Reminding, client: JsonClient
) -> None:
    user = reminding.person()
    await reminding.says(client, user, "每天早上八点提醒我吃药")
    await reminding.says(client, user, "大后天九点提醒我开会")
    await reminding.says(client, user, "每隔三小时提醒我喝水")
    before = dict(reminding.rows("SELECT matter, due_at FROM reminders WHERE user_id = %s", user))
    shown = await reminding.says(client, user, "我的提醒", timezone="America/New_York")
    after = dict(reminding.rows("SELECT matter, due_at FROM reminders WHERE user_id = %s", user))
    assert (after["开会"], after["喝水"]) == (before["开会"], before["喝水"])
    assert after["吃药"] != before["吃药"]
    wall = "SELECT (due_at AT TIME ZONE 'America/New_York')::time::text FROM reminders "
    wall += "WHERE user_id = %s AND matter = '吃药'"
    assert reminding.rows(wall, user) == [("08:00:00",)]
    assert "每天 08:00：吃药" in shown


async def test_it_goes_to_the_session_that_goes_on_after_an_idle_day(
    reminding: Reminding, client: JsonClient
) -> None:
    user = reminding.person()
    await reminding.says(client, user, "大后天九点提醒我开会")
    reminding.rows("UPDATE sessions SET last_activity_at = now() - interval '25 hours' WHERE user_id = %s", user)
    await reminding.says(client, user, "你好")
    sessions = [
        each
        for (each,) in reminding.rows(
            "SELECT session_id FROM sessions WHERE user_id = %s ORDER BY created_at", user
        )
    ]
    assert len(sessions) == 2
    reminding.due_now(user)
    (event,) = await reminding.said(user)
    assert event["session"] == sessions[1], "where the person is now"


async def test_an_erased_person_has_no_reminders_and_may_come_back(
    reminding: Reminding, client: JsonClient
) -> None:
    user = reminding.person()
    await reminding.says(client, user, "明天九点提醒我交报告")
    told = {"schemaVersion": "v0", "userId": user, "subjects": [], "timestampMs": time.time_ns() // 1_000_000 + 1}
    for _ in range(2):
        answer = await client.request(
            "POST", f"{reminding.reminder.url}/v0/erase", body=codec.encode(told), timeout_seconds=30
        )
        assert answer.status == 200
    for table in ("reminders", "reminder_answers", "reminder_people"):
        assert reminding.rows(f"SELECT count(*) FROM {table} WHERE user_id = %s", user) == [(0,)]
    assert "现在没有提醒" in await reminding.says(client, user, "我的提醒")


async def test_another_subject_under_the_same_user_id_hears_and_sees_nothing_of_it(
    reminding: Reminding, client: JsonClient
) -> None:
    user = reminding.person()
    url = f"{reminding.reminder.url}/v0/invoke"
    for subject, text in (("one", "明天九点提醒我体检"), ("two", "我的提醒")):
        body = invoke_body(text, user, subject)
        answer = await client.request("POST", url, body=codec.encode(body), timeout_seconds=30)
    assert "体检" not in answer.body.decode()
    reminding.due_now(user)
    refused = "SELECT state, last_error LIKE 'SESSION_NOT_FOUND%%' FROM reminders WHERE user_id = %s"
    await eventually(lambda: reminding.rows(refused, user) == [("refused", True)], "no session of theirs", 60)
    assert reminding.reminders(user) == []


async def test_what_is_long_over_is_forgotten(reminding: Reminding, client: JsonClient) -> None:
    user = reminding.person()
    await reminding.says(client, user, "明天九点提醒我交报告")
    await reminding.says(client, user, "后天九点提醒我交房租")
    await reminding.says(client, user, "取消报告")
    reminding.rows("UPDATE reminders SET updated_at = now() - interval '91 days' WHERE user_id = %s", user)
    reminding.rows("UPDATE reminder_answers SET created_at = now() - interval '4 days' WHERE user_id = %s", user)
    process = await started(reminding)  # looks at its start
    left = "SELECT (SELECT string_agg(matter, '') FROM reminders r WHERE r.user_id = p.user_id), "
    left += "(SELECT count(*) FROM reminder_answers a WHERE a.user_id = p.user_id) FROM reminder_people p "
    left += "WHERE user_id = %s"
    await eventually(lambda: reminding.rows(left, user) == [("交房租", 0)], "what waits alone", 60)
    process.stop()


async def started(reminding: Reminding) -> ServiceProcess:
    process = reminding.another()
    await asyncio.to_thread(process.start)
    return process


async def settled(reminding: Reminding, user: str) -> None:
    over = "SELECT state FROM reminders WHERE user_id = %s"
    await eventually(lambda: reminding.rows(over, user) == [("over",)], "the note", 60)


def invoke_body(text: str, user: str, subject: str | None = None) -> dict[str, Any]:
    run = f"run-{time.time_ns()}"
    return {
        "schemaVersion": "v0",
        "input": {
            "schemaVersion": "v0",
            "traceId": run,
            "userId": user,
            "sessionId": f"session-{user}",
            "source": "app",
            "timestampMs": time.time_ns() // 1_000_000,
            "text": text,
        },
        "context": {
            "schemaVersion": "v0",
            "user": {"userId": user} | ({"subject": subject} if subject is not None else {}),
            "permissions": [],
        },
        "run": {"runId": run, "providerId": "reminder", "attempt": 1, "idempotencyKey": run},
    }


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_it_passes_the_kit_and_what_is_asked_of_our_services(reminding: Reminding) -> None:
    lines: list[str] = []
    checklist = Checklist("conformance", lines.append)
    await check_all(checklist, Targets(others={"provider-reminder": Subject(reminding.reminder.url)}))
    assert not checklist.failed, "\n".join(lines)
    assert any("provider-reminder: a run twice at once" in line for line in lines)
