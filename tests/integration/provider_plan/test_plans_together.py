"""Calls of several people in one transaction, on Postgres: what each finds and leaves is its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from tests.unit.provider_plan.plan_requests import interaction, invocation
from tests.waiting import eventually

from uniassist.contracts.provider import InteractRequest, InteractResponse, InvokeRequest, InvokeResponse
from uniassist.provider_plan import answers, together
from uniassist.provider_plan.keeper import Keeper
from uniassist.provider_plan.shelf import Shelf
from uniassist.provider_plan.together import MOST_ALONE, MOST_TOGETHER
from uniassist.provider_plan.writing import KeepingRules
from uniassist.store import plans as store
from uniassist.store.server.pool import Pool

_numbers = itertools.count()
RULES = KeepingRules(public_url="http://plans.test", link_hours=1, due_hour=8)


@pytest.fixture
async def pool(plans_url: str) -> AsyncIterator[Pool]:
    async with await store.create_pool(plans_url) as opened:
        yield opened


@pytest.fixture
def keeper(pool: Pool) -> Keeper:
    return Keeper(pool, RULES)


def someone() -> str:
    return f"together-{os.getpid()}-{next(_numbers)}"


def about(user_id: str, **user: Any) -> dict[str, Any]:
    return {
        "context": {"user": {"userId": user_id, "timezone": "Asia/Shanghai"} | user},
        "run": {"runId": f"run-{user_id}-{next(_numbers)}"},
    }


def makes(user_id: str, goal: str, **user: Any) -> InteractRequest:
    return interaction({"values": {"goal": goal}}, **about(user_id, **user))


def says(user_id: str, text: str, **user: Any) -> InvokeRequest:
    return invocation(text, **about(user_id, **user))


def words(answer: InvokeResponse | InteractResponse) -> str:
    events = answer.immediate_events or [] if isinstance(answer, InvokeResponse) else answer.events
    said = [getattr(each, "text", "") for each in events]
    return "\n".join([answer.ack.message or "", *said] if isinstance(answer, InvokeResponse) else said)


def transactions(database: psycopg.Connection, table: str, user_ids: list[str]) -> int:
    """In how many the rows of these people were written."""
    found = database.execute(f"SELECT count(DISTINCT xmin::text) FROM {table} WHERE user_id = ANY (%s)", [user_ids])
    return int(found.fetchone()[0])  # type: ignore[index]


async def test_each_finds_its_own(keeper: Keeper, database: psycopg.Connection) -> None:
    people = {someone(): goal for goal in ("学会游泳", "去东京玩五天", "学会日语", "准备马拉松")}
    made = [makes(user_id, goal) for user_id, goal in people.items()]
    answers_ = await asyncio.gather(*map(keeper.interact, made))
    assert transactions(database, "plans", list(people)) == 1, "they came together"
    assert await asyncio.gather(*map(keeper.interact, made)) == answers_, "each is answered as before"
    shown = await asyncio.gather(*(keeper.invoke(says(user_id, "看看我的计划")) for user_id in people))
    for goal, answer in zip(people.values(), shown, strict=True):
        assert [other for other in people.values() if f"“{other}”" in words(answer)] == [goal]
    moved = "UTC"
    changed = [
        keeper.invoke(says(user_id, text, timezone=moved))
        for user_id, text in zip(
            people, ("删掉我的计划", "把我的计划推迟两天", "导出我的计划", "看看我的计划"), strict=True
        )
    ]
    await asyncio.gather(*changed)
    rows = database.execute(
        "SELECT deleted_at IS NOT NULL, version, timezone FROM plans WHERE user_id = ANY (%s) "
        "ORDER BY array_position(%s, user_id)",
        [list(people), list(people)],
    ).fetchall()
    assert rows == [(True, 1, "Asia/Shanghai"), (False, 2, moved), (False, 1, moved), (False, 1, moved)]
    linked = database.execute("SELECT user_id FROM plan_links WHERE user_id = ANY (%s)", [list(people)]).fetchall()
    assert linked == [(list(people)[2],)]


async def test_a_form_is_its_persons_and_its_subjects(keeper: Keeper) -> None:
    one, subject = someone(), "sub-1"
    asked = [says(one, "帮我计划学会游泳，每周五小时", subject=subject), says(someone(), "帮我计划学会日语")]
    begun = await asyncio.gather(*map(keeper.invoke, asked))
    extension = next(each for each in begun[0].immediate_events or [] if hasattr(each, "payload"))
    task = {"taskId": extension.payload.task_id, "values": {"dueDate": ""}}
    theirs = interaction(task, **about(one, subject=subject))
    others = interaction(task, **about(one, subject="sub-2"))
    nobody = interaction(task, **about(someone()))
    made = await asyncio.gather(*map(keeper.interact, (theirs, others, nobody)))
    assert ["“学会游泳”的计划" in words(each) for each in made] == [True, False, False]


async def test_two_changes_of_a_person_come_one_after_the_other(
    pool: Pool, keeper: Keeper, database: psycopg.Connection
) -> None:
    me, elsewhere = someone(), Keeper(pool, RULES)
    await keeper.interact(makes(me, "学会游泳"))
    asked = [says(me, f"计划里加一步：买第{number}号泳镜") for number in range(6)]
    await asyncio.gather(*((keeper, elsewhere)[at % 2].invoke(each) for at, each in enumerate(asked)))
    again = says(me, "把我的计划推迟两天")
    said = await asyncio.gather(*((keeper, elsewhere)[at % 2].invoke(again) for at in range(4)))
    assert all(each == said[0] for each in said)
    assert database.execute("SELECT version FROM plans WHERE user_id = %s", [me]).fetchall() == [(8,)]
    shown = words(await keeper.invoke(says(me, "看看我的计划")))
    assert [number for number in range(6) if f"买第{number}号泳镜" not in shown] == []


LOCKS = {
    "their lock": "SELECT pg_advisory_xact_lock(hashtextextended('plans:' || %s, 0))",
    "a row of theirs": "SELECT FROM plans WHERE user_id = %s FOR UPDATE",
}


@pytest.mark.parametrize("held", LOCKS)
async def test_what_somebody_holds_delays_its_person_only(keeper: Keeper, plans_url: str, held: str) -> None:
    me, others = someone(), [someone() for _ in range(3)]
    await asyncio.gather(*(keeper.interact(makes(each, "学会游泳")) for each in (me, *others)))
    with psycopg.connect(plans_url) as holder:
        holder.execute(LOCKS[held], [me])
        mine = [
            asyncio.create_task(keeper.invoke(says(me, f"计划里加一步：买{what}"))) for what in ("帽子", "毛巾")
        ]
        shown = await asyncio.gather(*(keeper.invoke(says(each, "看看我的计划")) for each in others))
        assert all("“学会游泳”" in words(each) for each in shown)
        assert not any(each.done() for each in mine)
        holder.rollback()
    await asyncio.gather(*mine)
    shown_mine = words(await keeper.invoke(says(me, "看看我的计划")))
    assert "买帽子" in shown_mine
    assert "买毛巾" in shown_mine


async def test_one_that_cannot_be_decided_or_kept_fails_alone(
    keeper: Keeper, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided, unkept, good, other = (someone() for _ in range(4))
    decide = answers.invoke

    def invoke(request: InvokeRequest, shelf: Shelf | None = None) -> InvokeResponse:
        answer = decide(request, shelf)
        user_id = request.context.user.user_id
        if user_id == undecided:
            raise ValueError("a bug")
        if user_id == unkept and shelf is not None:
            shelf.note("a task", {"goal": "x"})
            shelf.use("\0")
        return answer

    monkeypatch.setattr(answers, "invoke", invoke)
    asked = [keeper.invoke(says(each, "帮我计划学会游泳")) for each in (good, undecided, unkept, other)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, Exception) for each in outcomes] == [False, True, True, False]
    kept = database.execute(
        "SELECT DISTINCT user_id FROM plan_drafts WHERE user_id = ANY (%s)", [[undecided, unkept, good, other]]
    )
    assert {user_id for (user_id,) in kept} == {good, other}


async def test_nobody_is_answered_before_the_commit(keeper: Keeper, plans_url: str) -> None:
    """The commit is kept from ending: by a constraint that is looked at there, and a lock on what it looks at."""
    with psycopg.connect(plans_url, autocommit=True) as admin:
        admin.execute(
            "CREATE OR REPLACE FUNCTION plans_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$"
        )
        admin.execute(
            "CREATE CONSTRAINT TRIGGER plans_wait AFTER INSERT ON plan_answers DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION plans_wait()"
        )
        try:
            admin.execute("SELECT pg_advisory_lock(77)")
            asked = [asyncio.create_task(keeper.invoke(says(someone(), "帮我计划学会游泳"))) for _ in range(3)]

            def commits() -> bool:
                found = admin.execute(
                    "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"
                )
                return found.rowcount > 0

            await eventually(commits, "a commit waits")
            assert not any(each.done() for each in asked)
            admin.execute("SELECT pg_advisory_unlock(77)")
            await asyncio.gather(*asked)
        finally:
            admin.execute("DROP TRIGGER plans_wait ON plan_answers")


async def test_however_many_are_held_others_find_a_connection(
    keeper: Keeper, plans_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen amid a transaction holds as many people as fit in one."""
    monkeypatch.setattr(together, "SECONDS", 60)
    held, other = [someone() for _ in range(MOST_TOGETHER)], someone()
    with psycopg.connect(plans_url) as holder:
        for each in held:
            holder.execute(LOCKS["their lock"], [each])
        asked = [asyncio.create_task(keeper.invoke(says(each, "帮我计划学会游泳"))) for each in held]

        def waits() -> bool:
            found = holder.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return found.rowcount >= MOST_ALONE

        await eventually(waits, "they wait for their locks")
        assert "学会游泳" in words(await keeper.invoke(says(other, "帮我计划学会游泳")))
        assert not any(each.done() for each in asked)
        holder.rollback()
    await asyncio.gather(*asked)


async def test_a_process_that_stops_amid_a_transaction_loses_its_locks(
    keeper: Keeper, plans_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_IN_TRANSACTION_TIMEOUT", "1s")
    monkeypatch.setattr(together, "SECONDS", 30)
    me = someone()
    async with await store.create_pool(plans_url) as pool, pool.acquire() as stopped:
        await stopped.execute("BEGIN")
        assert await store.try_lock(stopped, [me], patience=dt.timedelta(seconds=1)) == {me}
        assert "学会游泳" in words(await keeper.invoke(says(me, "帮我计划学会游泳")))
