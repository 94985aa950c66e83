"""Steps that are due: told once each, by any of several processes, whoever of them dies at whatever moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest
from tests.integration.gateway.client import GatewayClient, Json, interaction, message, unique
from tests.integration.provider_plan.conftest import Person
from tests.integration.provider_plan.events_server import EventsServer
from tests.processes import CONTEXT_TOKEN, ServiceProcess
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

# As if the person had made the plan yesterday and slept since.
_DUE_NOW = (
    "UPDATE plans SET due_at = now(), told_through = (now() AT TIME ZONE 'Asia/Shanghai')::date - 1"
    " WHERE user_id = %s"
)
_PLAN_URL = "UNIASSIST_PLAN_PROVIDER_BASE_URL"
_NOBODY_TELLS = "UPDATE plans SET leased_until = now() WHERE user_id = %s"


@pytest.fixture
async def client() -> AsyncIterator[JsonClient]:
    async with JsonClient() as opened:
        yield opened


async def test_due_steps_are_told_once_though_processes_die_in_between(
    keeping: Callable[..., ServiceProcess],
    events: EventsServer,
    client: JsonClient,
    person: Callable[..., Person],
    database: psycopg.Connection,
) -> None:
    one = keeping()
    me = person(client)
    await me.makes(one, "写完报告")
    events.holds.set()
    database.execute(_DUE_NOW, [me.user_id])
    await eventually(lambda: events.heard(me.user_id), "the first one tells", 60)
    one.kill()  # the gateway may have it, or not
    two, three = keeping(), keeping()
    database.execute(_NOBODY_TELLS, [me.user_id])
    await eventually(lambda: len(events.heard(me.user_id)) >= 2, "another one tells", 60)
    two.kill()
    three.kill()
    events.holds.clear()
    four, five = keeping(), keeping()
    database.execute(_NOBODY_TELLS, [me.user_id])

    def is_noted() -> bool:
        found = database.execute("SELECT due_at > now(), leased_until FROM plans WHERE user_id = %s", [me.user_id])
        return found.fetchone() == (True, None)

    await eventually(is_noted, "it is noted as told", 60)
    heard = events.heard(me.user_id)
    assert len({each["eventId"] for each in heard}) == 1, "to the gateway it is one event"
    assert len({each["event"]["body"] for each in heard}) == 1
    event = heard[-1]["event"]
    assert (event["eventType"], event["providerId"]) == ("reminder", "plan")
    assert event["title"] == "今天的安排：写完报告"
    assert event["body"].startswith("1. ")
    assert "sessionId" not in event, "the gateway knows the last one"
    assert events.calls[-1]["authorization"] == f"Bearer {CONTEXT_TOKEN}"
    told = len(heard)
    database.execute("UPDATE plans SET due_at = now() WHERE user_id = %s", [me.user_id])
    await eventually(is_noted, "nothing begins on a day that was told", 60)
    assert len(events.heard(me.user_id)) in (told, told + 1)
    assert len({each["eventId"] for each in events.heard(me.user_id)}) == 1
    four.stop()
    five.stop()


async def test_a_step_moved_is_told_on_its_new_day_and_a_deleted_plan_not_at_all(
    keeping: Callable[..., ServiceProcess],
    events: EventsServer,
    client: JsonClient,
    person: Callable[..., Person],
    database: psycopg.Connection,
) -> None:
    plan = keeping()
    me, gone = person(client), person(client)
    for each in (me, gone):
        await each.makes(plan, "写完报告")
    await gone.says(plan, "删掉我的计划")
    due = "SELECT (due_at AT TIME ZONE 'Asia/Shanghai')::text FROM plans WHERE user_id = %s"
    [(before,)] = database.execute(due, [me.user_id]).fetchall()
    assert before.endswith(" 08:00:00")
    await me.says(plan, "把计划推迟三天")
    [(after,)] = database.execute(due, [me.user_id]).fetchall()
    assert after > before
    for each in (me, gone):
        database.execute(_DUE_NOW, [each.user_id])
        database.execute("UPDATE plans SET told_through = current_date - 9 WHERE user_id = %s", [each.user_id])
    await eventually(
        lambda: database.execute("SELECT FROM plans WHERE user_id = %s AND due_at > now()", [me.user_id]).rowcount,
        "the loop came by",
        60,
    )
    assert events.heard(me.user_id) == [], "nothing begins today any more"
    assert events.heard(gone.user_id) == []
    plan.stop()


async def test_it_is_on_the_timeline_of_the_persons_last_session_once_and_another_session_finds_the_plan(
    database_url: str, redis_url: str, client: JsonClient, tmp_path: Path
) -> None:
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    plan = ServiceProcess("provider-plan", tmp_path / "plan.log", dict(servers))
    gateway = ServiceProcess("gateway", tmp_path / "gateway.log", {**servers, _PLAN_URL: plan.url})
    plan.env["GATEWAY_URL"] = gateway.url
    with psycopg.connect(database_url, autocommit=True) as database:
        plan.start()
        gateway.start()
        try:
            app = GatewayClient(client, gateway.url)
            first, second = unique("session"), unique("session")
            ack = await app.ingest(message("帮我计划写完报告", sessionId=first, timezone="Asia/Shanghai"))
            run_id = ack["runs"][0]["runId"]
            await app.when_over(first, run_id)
            submitted = interaction(first, "submit_data_collection", runId=run_id, payload={"values": {}})
            assert (await app.post("/v0/interact", submitted)).status == 200

            def is_kept() -> bool:
                return bool(database.execute("SELECT FROM plans").rowcount)

            await eventually(is_kept, "the plan is kept", 60)
            ack = await app.ingest(message("看看我的计划", sessionId=second, timezone="Asia/Shanghai"))
            seen = await app.when_over(second, ack["runs"][0]["runId"])
            assert any("“写完报告”的计划" in str(each["payload"]) for each in seen)
            database.execute(_DUE_NOW, ["user-1"])

            async def told() -> list[Json]:
                return [each for each in await app.timeline(second) if each["kind"] == "domain_event"]

            await eventually(told, "it is told", 60)
            database.execute(_DUE_NOW, ["user-1"])
            await eventually(
                lambda: database.execute("SELECT FROM plans WHERE due_at > now()").rowcount, "told again", 60
            )
            [event] = await told()
            assert event["payload"]["event"]["title"] == "今天的安排：写完报告"
            assert [each for each in await app.timeline(first) if each["kind"] == "domain_event"] == []
        finally:
            gateway.stop()
            plan.stop()
