"""Groups of others on the global stream: what they hold up is shown and limited, and a misspelt group is seen."""

from __future__ import annotations

from typing import Any

from tests.integration.delivery.asking import get, uniassist
from tests.integration.delivery.conftest import StartWorker
from tests.integration.delivery.outbox_rows import GLOBAL, GROUP, Outbox, metric
from tests.integration.delivery.test_delivery_rescue import SMALL
from tests.processes import ServiceProcess
from tests.waiting import eventually

OTHER = "analytics"


async def hold_one(outbox: Outbox) -> str:
    """A group of others has read all there is, and acknowledged all but the first."""
    await outbox.redis.xgroup_create(GLOBAL, OTHER, id="0")
    await outbox.redis.xreadgroup(OTHER, "dead-reader", {GLOBAL: ">"}, count=100_000)
    ids = [entry.entry_id for entry in await outbox.stream(GLOBAL)]
    await outbox.redis.xack(GLOBAL, OTHER, *ids[1:])
    return ids[0]


async def stats(database_url: str, redis_url: str, **env: str) -> dict[str, Any]:
    said = await uniassist("outbox", "stats", "--json", database_url=database_url, REDIS_URL=redis_url, **env)
    assert said.code == 0, said.err
    found: dict[str, Any] = said.json
    return found


async def held_in_metrics(worker: ServiceProcess, group: str) -> float | None:
    _, text = await get(worker, "/metrics")
    if f'held_seconds{{group="{group}"}}' not in text:
        return None
    return metric(text, "uniassist_stream_group_held_seconds", group=group) or None


async def test_the_group_and_the_entry_that_hold_trimming_up_are_named_and_measured(
    outbox: Outbox, start_worker: StartWorker, database_url: str, redis_url: str
) -> None:
    worker = start_worker(**SMALL)
    await outbox.write_many(20, 20)
    await outbox.all_consumed()
    held = await hold_one(outbox)

    stream = (await stats(database_url, redis_url))["stream"]
    groups = {group["group"]: group for group in stream["groups"]}
    assert (groups[OTHER]["holdsTrimming"], groups[OTHER]["heldEntry"], groups[OTHER]["pending"]) == (True, held, 1)
    assert [consumer["consumer"] for consumer in groups[OTHER]["consumers"]] == ["dead-reader"]
    assert (groups[OTHER]["ours"], groups[GROUP]["ours"], groups[GROUP]["holdsTrimming"]) == (False, True, False)
    said = await uniassist("outbox", "stats", database_url=database_url, REDIS_URL=redis_url)
    assert f"group {OTHER}, not ours: 1 pending, read by dead-reader; holds trimming up since" in said.out
    assert held in said.out
    await eventually(lambda: held_in_metrics(worker, OTHER), "the worker measures it", 25)
    assert await held_in_metrics(worker, GROUP) is None


async def test_what_a_group_of_others_holds_is_dropped_beyond_the_limit_and_delivery_goes_on(
    outbox: Outbox, start_worker: StartWorker
) -> None:
    worker = start_worker(**SMALL, STREAM_OTHERS_MAX_ENTRIES="500")
    await outbox.write_many(20, 20)
    await outbox.all_consumed()
    await hold_one(outbox)
    await outbox.write_many(40, 50, prefix="more")
    await outbox.all_consumed()

    async def is_short() -> bool:
        return bool(await outbox.redis.xlen(GLOBAL) <= 600)

    await eventually(is_short, "the stream is trimmed", 25)

    async def is_counted() -> bool:
        _, text = await get(worker, "/metrics")
        return metric(text, "uniassist_delivery_stream_dropped_total") > 0

    await eventually(is_counted, "what was dropped is counted")
    await eventually(lambda: f'"group": "{OTHER}"' in worker.process.log.read_text(), "the log names the group")
    assert await outbox.check_session_streams() == 60


async def test_a_second_worker_with_a_misspelt_group_is_seen(
    outbox: Outbox, start_worker: StartWorker, database_url: str, redis_url: str
) -> None:
    start_worker(**SMALL, UNIASSIST_STREAM_CONSUMER="right")
    start_worker(**SMALL, UNIASSIST_STREAM_CONSUMER="wrong", UNIASSIST_STREAM_GROUP="ua-delivry")
    await outbox.write_many(5, 5)

    async def seen() -> bool:
        groups = (await stats(database_url, redis_url))["stream"]["groups"]
        return {group["group"]: group["misplacedWorkers"] for group in groups} == {
            GROUP: [],
            "ua-delivry": ["wrong"],
        }

    await eventually(seen, "it is shown where the second one reads")


async def test_stats_without_redis_says_so_and_shows_the_rest(
    outbox: Outbox, database_url: str, redis_url: str
) -> None:
    await outbox.write_bare("one", "s")
    found = await stats(database_url, "redis://127.0.0.1:1/0")
    assert found["states"][0]["events"] == 1
    assert "redis: away" in found["stream"]["problem"]
    without = await uniassist("outbox", "stats", database_url=database_url)
    assert (without.code, "REDIS_URL is not set" in without.out) == (0, True), without.err
